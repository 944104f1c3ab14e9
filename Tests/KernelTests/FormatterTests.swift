import Foundation
import Testing

@testable import Kernel

@Suite struct FormatterTests {
  @Test func spacesTabsAndBlankLinesAreWrittenOneWay() {
    let text =
      "#!/usr/bin/env prn\nm=load ./x  \n\n\n#note\nmk  = mask s rate = 20%\r\nruns=for r in 1,2 {\n\tx=kmeans acts k=r\n      x\n}\n\n"
    #expect(
      Formatter.formatted(text)
        == "#!/usr/bin/env prn\nm = load ./x\n\n# note\nmk  = mask s rate=20%\nruns = for r in 1,2 {\n  x = kmeans acts k=r\n  x\n}\n"
    )
  }

  @Test func linesThatGoOnKeepTheirDistanceAndStringsTheirSpaces() {
    let text = "for r in 1,2 {\nt = compare [a: x,\n             b: y] \\\n    baseline=x\n}\ny = \"a  =  b\"\n"
    #expect(
      Formatter.formatted(text)
        == "for r in 1,2 {\n  t = compare [a: x,\n               b: y] \\\n      baseline=x\n}\ny = \"a  =  b\"\n")
  }

  @Test func argumentsThatFollowAWordOfTheLanguageAreArguments() {
    let text = "plot nets y=time to=./x.svg\ntime x = mask s rate=20%\n"
    #expect(Formatter.formatted(text) == text)
  }

  @Test func whatCannotBeReadIsNotTouched() { #expect(Formatter.formatted("x = (\n") == nil) }

  /// The notebooks are written the one way, and formatting twice is formatting once.
  @Test(arguments: try notebooks()) func notebooksAreFormatted(_ path: String) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(Formatter.formatted(text) == text)
  }
}

private func notebooks() throws -> [String] {
  let folder =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path + "/notebooks"
  return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".prn") }.sorted().map {
    folder + "/" + $0
  }
}
