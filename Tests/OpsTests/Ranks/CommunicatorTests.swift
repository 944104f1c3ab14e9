import Ranks
import Testing

/// Who does what, and what all get of it.
@Suite struct CommunicatorTests {
  @Test(arguments: [1, 2, 3, 4, 7]) func everyItemIsOneRanksAndComesInOrder(_ size: Int) throws {
    for count in [0, 1, 2, 3, 5, 8, 13] {
      let found = try ThreadRanks.run(size) { ranks in
        var made: [Int] = []
        var taken: [[Int]] = []
        try ranks.forEach(count) { item in
          made.append(item)
          return Array(repeating: item, count: item)
        } take: {
          taken.append([$0] + $1)
        }
        return (made, taken)
      }
      #expect(found.flatMap(\.0).sorted() == Array(0..<count))
      // No rank does more than one item a round.
      #expect(found.allSatisfy { $0.0.count <= (count + size - 1) / size })
      for (_, taken) in found { #expect(taken == (0..<count).map { [$0] + Array(repeating: $0, count: $0) }) }
    }
  }

  @Test func whatOneHasAllGet() throws {
    let found = try ThreadRanks.run(3) { ranks in
      let numbers = try (0..<3).map { try ranks.share(ranks.rank == $0 ? [Double($0), .pi] : [], from: $0) }
      return (numbers, try ranks.all("rank \(ranks.rank) é"), try ranks.share(ranks.isFirst ? "" : "no", from: 0))
    }
    for (numbers, texts, empty) in found {
      #expect(numbers == [[0, .pi], [1, .pi], [2, .pi]])
      #expect(texts == ["rank 0 é", "rank 1 é", "rank 2 é"])
      #expect(empty.isEmpty)
    }
  }

  @Test func oneRankIsTheIdentity() throws {
    let alone = OneRank()
    #expect(try alone.map(5) { [$0, $0 * $0] } == (0..<5).map { [$0, $0 * $0] })
    #expect(try alone.share([1, 2, 3], from: 0) == [1, 2, 3])
    #expect(try alone.all("x") == ["x"])
    #expect(alone.rounds(3) == [0..<1, 1..<2, 2..<3])
  }

  @Test func theOthersHearThatOneHasGivenUp() {
    struct Full: Error {}
    #expect(throws: (any Error).self) {
      try ThreadRanks.run(3) { ranks in
        do {
          _ = try ranks.map(9) { item in
            if item == 4 { throw Full() }
            return [item]
          }
          Issue.record("rank \(ranks.rank) did not hear of it")
        } catch let error as RankError {
          #expect(error == .failed(rank: 1, reason: "Full()") && ranks.rank != 1)
          throw error
        }
      }
    }
  }
}
