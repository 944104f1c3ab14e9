import Foundation
import Testing

@testable import Kernel
@testable import Shell

@Suite struct NotebookFileTests {
  private static let notebooks: [String] = {
    let folder = Program.root + "/notebooks"
    return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasSuffix(".prn") }
      .sorted().map { folder + "/" + $0 }
  }()

  @Test(arguments: notebooks) func aScriptComesBackFromANotebookAsItWas(_ path: String) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let notebook = NotebookFile.text(Notebook(Source(name: path, text: text))) { _ in [] }
    #expect(try NotebookFile.script(notebook, name: path) == text)
  }

  @Test func cellsHaveTitleProseAndCode() {
    let text =
      "#!/usr/bin/env prn\nparam a = 1\n\n# %% [markdown] First\n# One line.\n#\n# Another.\nx = 1\n# a comment\n\n# %% Second\nshow x\n"
    let cells = Notebook(Source(name: "", text: text)).cells
    #expect(cells.map(\.title) == ["", "First", "Second"])
    #expect(cells.map(\.code) == [["param a = 1"], ["x = 1", "# a comment"], ["show x"]])
    #expect(cells[1].prose == ["One line.", "", "Another."])
    #expect(cells.map(\.codeLine) == [2, 8, 12])
  }

  @Test func anotherLanguageOrFormatIsRefused() {
    #expect(throws: Diagnostic.self) { try NotebookFile.script("{}", name: "a.ipynb") }
    let python = #"{"cells":[],"metadata":{"kernelspec":{"language":"python"}},"nbformat":4}"#
    #expect(throws: Diagnostic.self) { try NotebookFile.script(python, name: "a.ipynb") }
  }

  @Test func resultsOfTheStoreAreInTheNotebook() throws {
    let folder = try Program.temporaryFolder()
    let text = CommandTests.study + "\n\n# %% Look\nshow mk\nplot mk\n"
    try text.write(toFile: folder + "/f.prn", atomically: true, encoding: .utf8)
    #expect(try Program.run(["run", "f.prn", "-q"], in: folder).status == 0)
    #expect(try Program.run(["export", "f.prn", "to=f.ipynb"], in: folder).status == 0)
    let notebook = try String(contentsOfFile: folder + "/f.ipynb", encoding: .utf8)
    #expect(notebook.contains("text/html") && notebook.contains("image/svg+xml"))
    #expect(try Program.run(["export", "f.ipynb", "to=g.prn"], in: folder).status == 0)
  }
}
