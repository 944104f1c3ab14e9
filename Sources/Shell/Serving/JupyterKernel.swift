import Foundation
import Kernel

/// What `prn kernel install` writes: a kernel specification and the bridge, one Python file on `ipykernel.kernelbase`,
/// which everyone who has Jupyter has. The messages of Jupyter are the library's; the language is ours.
struct JupyterKernel {
  let environment: [String: String]

  /// - Parameters:
  ///   - prefix: where a Python environment is; nil for the user's own kernels.
  ///   - isForced: whether files that are not as some prn writes them may be replaced.
  /// - Returns: the folder of the kernel.
  func install(prefix: String?, isForced: Bool) throws -> String {
    let folder = data(prefix) + "/kernels/prn"
    let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "prn"
    let specification: JSONValue = [
      "argv": ["python3", .string(folder + "/prn_kernel.py"), "-f", "{connection_file}"],
      "display_name": "prn", "language": "prn", "interrupt_mode": "signal", "env": ["PRN": .string(program)],
    ]
    for (name, opening) in [("prn_kernel.py", jupyterBridge.prefix(40)), ("kernel.json", "{\"argv\":[\"python3\",")] {
      let path = folder + "/" + name
      guard !isForced, let there = FileManager.default.contents(atPath: path) else { continue }
      guard String(decoding: there, as: UTF8.self).hasPrefix(opening) else {
        throw Diagnostic(
          "\(path) is there, and is not as prn wrote it", hint: "move it, or replace it with --force", kind: .usage)
      }
    }
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      for (name, text) in [("prn_kernel.py", jupyterBridge), ("kernel.json", specification.canonical + "\n")] {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/" + name), options: .atomic)
      }
    } catch {
      throw Diagnostic("the kernel cannot be written to \(folder): \((error as NSError).localizedDescription)")
    }
    return folder
  }

  /// Jupyter's folder for data: of an environment, or the user's.
  private func data(_ prefix: String?) -> String {
    if let prefix { return URL(fileURLWithPath: prefix).path + "/share/jupyter" }
    if let folder = environment["JUPYTER_DATA_DIR"], !folder.isEmpty { return folder }
    let home = environment["HOME"] ?? "."
    return (environment["XDG_DATA_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? home + "/.local/share") + "/jupyter"
  }
}

/// `prn_kernel.py`. Tried with ipykernel 6.29 and 7.
let jupyterBridge = #"""
  """The prn kernel of Jupyter: hands cells to `prn serve --stdio` and its answers back."""
  import json
  import os
  import signal
  import subprocess
  import time

  from ipykernel.kernelapp import IPKernelApp
  from ipykernel.kernelbase import Kernel
  from pygments.lexer import RegexLexer, bygroups
  from pygments.token import (
      Comment, Generic, Keyword, Literal, Name, Number, Operator, Punctuation, String, Text, Whitespace)

  SERVE = [os.environ.get("PRN", "prn"), "serve", "--stdio"]


  class PrnKernel(Kernel):
      implementation = "prn"
      banner = "prn, a pruning notebook"
      language_info = {
          "name": "prn", "mimetype": "text/x-prn", "file_extension": ".prn",
          "codemirror_mode": "shell", "pygments_lexer": "text",
      }
      help_links = []

      def __init__(self, **options):
          super().__init__(**options)
          self.child = None
          self.number = 0
          self.launch()

      @property
      def implementation_version(self):
          return self.language_info["version"]

      def launch(self):
          # A session of its own, so that Ctrl-C reaches it only as a request from here.
          self.child = subprocess.Popen(
              SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", bufsize=1, start_new_session=True)
          ready = self.read()
          self.language_info = dict(self.language_info, version=ready.get("version", "0"))

      def read(self):
          line = self.child.stdout.readline()
          if not line:
              raise EOFError
          return json.loads(line)

      def ask(self, kind, hear=lambda event: None, **members):
          """Sends a request and waits for its reply; `hear` gets what is told meanwhile."""
          if self.child.poll() is not None:
              self.launch()
          self.number += 1
          try:
              self.child.stdin.write(json.dumps(dict(members, type=kind, id=self.number)) + "\n")
              self.child.stdin.flush()
              while True:
                  try:
                      event = self.read()
                      if event["event"] == "reply" and event["id"] == self.number:
                          return event
                      hear(event)
                  except KeyboardInterrupt:
                      self.child.send_signal(signal.SIGINT)
          except (EOFError, BrokenPipeError):
              code = self.child.wait()
              text = f"prn ended with code {code}; values that were finished are in the workspace, run the cell again"
              return {"status": "error", "kind": "ended", "text": text, "rendered": text}

      def do_execute(self, code, silent, store_history=True, user_expressions=None, allow_stdin=False, **_):
          shown, began = {}, time.monotonic()

          def hear(event):
              if silent:
                  return
              kind = event["event"]
              if kind == "display":
                  self.tell("display_data", data=event["data"], metadata={})
              elif kind == "stream":
                  self.tell("stream", name=event["name"], text=event["text"])
              elif kind == "progress" and time.monotonic() - began > 2:
                  self.progress(shown, event)

          reply = self.ask("execute", hear, code=code)
          if shown:
              self.progress(shown, None)
          if reply["status"] == "ok":
              return {"status": "ok", "execution_count": self.execution_count, "payload": [], "user_expressions": {}}
          content = {"ename": reply["kind"], "evalue": reply["text"], "traceback": reply["rendered"].split("\n")}
          if not silent:
              self.tell("error", **content)
          return dict(content, status="error", execution_count=self.execution_count)

      def tell(self, kind, **content):
          self.send_response(self.iopub_socket, kind, content)

      def progress(self, shown, event):
          """One line that changes in place, and is empty when the cell is done."""
          text = event and f"{event.get('name') or event['op']}  {event['unit']} {event['done']}/{event['total']}"
          display = {"data": {"text/plain": text or ""}, "metadata": {},
                     "transient": {"display_id": f"prn-progress-{self.execution_count}"}}
          self.tell("update_display_data" if shown else "display_data", **display)
          shown["is"] = True

      def do_complete(self, code, cursor_pos):
          reply = self.ask("complete", code=code, cursor=cursor_pos)
          matches = reply.get("matches", [])
          return {
              "status": "ok", "matches": [match["text"] for match in matches],
              "cursor_start": reply.get("start", cursor_pos), "cursor_end": reply.get("end", cursor_pos),
              "metadata": {"_jupyter_types_experimental": [
                  {"start": reply["start"], "end": reply["end"], "text": match["text"], "type": match["kind"],
                   "signature": match["meaning"]} for match in matches]},
          }

      def do_inspect(self, code, cursor_pos, detail_level=0, omit_sections=()):
          reply = self.ask("inspect", code=code, cursor=cursor_pos)
          found = reply.get("found", False)
          return {"status": "ok", "found": found, "data": {"text/plain": reply["text"]} if found else {}, "metadata": {}}

      def do_is_complete(self, code):
          status = self.ask("is_complete", code=code)["status"]
          return {"status": status, "indent": "  "} if status == "incomplete" else {"status": status}

      def do_history(self, hist_access_type, output, raw, session=None, start=None, stop=None, n=None, pattern=None,
                     unique=False):
          statements = self.ask("history").get("statements", [])
          return {"status": "ok", "history": [(1, number + 1, text) for number, text in enumerate(statements)][-(n or 0):]}

      def do_shutdown(self, restart):
          if self.child.poll() is None:
              self.ask("shutdown")
          return {"status": "ok", "restart": restart}


  class PrnLexer(RegexLexer):
      """Colours for scripts: `pygmentize -x -l prn_kernel.py:PrnLexer f.prn`. The words are the program's own."""
      name, aliases, filenames = "prn", ["prn"], ["*.prn"]
      kinds = {"op": Name.Function, "session": Name.Builtin, "language": Keyword}
      words = None

      def word(self, match):
          if PrnLexer.words is None:
              ready = subprocess.run(SERVE, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
              found = json.loads(ready.split(b"\n")[0])["words"]
              PrnLexer.words = {word: self.kinds[kind] for kind in found for word in found[kind]}
          yield match.start(), PrnLexer.words.get(match.group(), Name), match.group()

      tokens = {"root": [
          (r"#\s?%%.*", Generic.Subheading),
          (r"#.*", Comment.Single),
          (r'"(?:\\.|[^"\\])*"', String.Double),
          (r"'[^']*'", String.Single),
          (r"(?:~|\.{1,2})?/[^\s,;()\[\]{}|\"']*|\b[A-Za-z_][\w.]*(?:[/-][\w.]+)+", Literal),
          (r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?:%|KiB|MiB|GiB|min|ms|[kMGsh])?(?!\w)", Number),
          (r"([A-Za-z_]\w*)(=)(?!=)", bygroups(Name.Attribute, Operator)),
          (r"([A-Za-z_]\w*)(\s+)(=)(?!=)", bygroups(Name.Variable, Whitespace, Operator)),
          (r"[A-Za-z_]\w*", word),
          (r"\|>|[|&^!<>=]+", Operator),
          (r"[\[\](){},.:;@]", Punctuation),
          (r"\s+", Whitespace),
          (r".", Text),
      ]}


  if __name__ == "__main__":
      IPKernelApp.launch_instance(kernel_class=PrnKernel)

  """#
