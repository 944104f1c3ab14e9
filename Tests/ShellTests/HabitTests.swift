import Testing

@testable import Shell

@Suite struct HabitTests {
  private func line(_ typed: String) -> Habits.Line { Habits.line(typed) { ["flap", "rate"].contains($0) } }

  @Test(arguments: [
    ("exit", "quit"), ("exit()", "quit"), ("q", "quit"), (":q", "quit"), (".exit", "quit"), ("ls", "vars"),
    ("?", "help"), ("flap?", "help flap"), ("?flap", "help flap"), ("acts?", "info acts"), ("acts??", "info acts"),
    (".help flap", "help flap"), ("%time eval m held", "time eval m held"), ("show mk", "show mk"),
  ])
  func wordsOfOtherShellsAreUnderstood(typed: String, meant: String) {
    #expect(line(typed) == .statement(meant))
  }

  @Test func theScreenIsClearedByItsWord() {
    #expect(line("clear") == .clearScreen)
    #expect(line(" cls ") == .clearScreen)
  }

  @Test func aCopiedSessionIsItsStatements() {
    let copied = """
      prn> m = load ./data/tiny-llama
      m         model llama 6 layers, d 128, 1.44M parameters
      prn> runs = for rate in 10%,20% {
      ...>   mask s rate=rate
      ...> }
      """
    #expect(
      line(copied)
        == .statement("m = load ./data/tiny-llama\nruns = for rate in 10%,20% {\n  mask s rate=rate\n}"))
    #expect(line("  prn> show mk") == .statement("show mk"))
  }

  @Test func helpIsBrokenBetweenWords() {
    let text = "  name=       one two three four five\nshort"
    let lines = text.wrapped(at: 26).split(separator: "\n")
    #expect(lines.allSatisfy { $0.count <= 26 })
    #expect(lines.dropFirst().dropLast().allSatisfy { $0.hasPrefix("    ") })
    #expect(lines.joined(separator: " ").split(separator: " ") == text.split { " \n".contains($0) })
    #expect(text.wrapped(at: 80) == text)
  }

  @Test func helpOfTheCommandsStandsInTwoColumnsOnANarrowTerminal() throws {
    let lines = Help.usage.wrapped(at: 79).split(separator: "\n").map(String.init)
    #expect(lines.allSatisfy { DisplayWidth.of($0) <= 79 })
    let first = try #require(lines.firstIndex { $0.hasPrefix("  prn ") })
    let meaning = try #require(lines[first].firstRange(of: "the interactive shell"))
    let column = lines[first].distance(from: lines[first].startIndex, to: meaning.lowerBound)
    for line in lines[first...].prefix(while: { $0 != "options" }) where !line.hasPrefix("  prn ") {
      #expect(line.prefix { $0 == " " }.count == column, "\(line)")
    }
  }
}
