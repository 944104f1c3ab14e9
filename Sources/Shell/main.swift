import Glibc
import Ops

exit(
  Application(
    words: Array(CommandLine.arguments.dropFirst()), environment: ProcessEnvironment.variables(), catalog: catalog
  ).run())
