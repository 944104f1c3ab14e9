import Glibc
import Ops

let code = Application(
  words: Array(CommandLine.arguments.dropFirst()), environment: ProcessEnvironment.variables(), catalog: catalog
).run()
// Not `exit`: OpenBLAS would wait for workers that a tight `ulimit -v` never let start.
fflush(nil)
_exit(code)
