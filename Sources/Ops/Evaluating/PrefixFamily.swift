/// Sorted inputs that begin alike, so that what they share needs to run only once.
struct PrefixFamily: Equatable {
  /// Of the sorted inputs.
  let inputs: Range<Int>
  /// Tokens at the start that all of them have.
  let shared: Int
  /// Tokens that run: the shared ones once, and the rest of each.
  let tokens: Int

  /// The most tokens of a family of more than one, which passes every block at once.
  static let most = 4096
  /// A start of fewer tokens costs more to set apart than to run again.
  static let leastShared = 8

  /// The division of the inputs into families that leaves the fewest tokens, found from the front: the best for the
  /// first n inputs ends in some family, and before that is the best for what is left.
  ///
  /// - Parameter inputs: sorted token by token, so that those that share most stand side by side.
  static func fewestTokens(_ inputs: [[Int32]]) -> [PrefixFamily] {
    // Of each input with the one before it.
    let common = inputs.indices.map { $0 == 0 ? 0 : zip(inputs[$0 - 1], inputs[$0]).prefix { $0 == $1 }.count }
    var fewest = [0]
    var last: [PrefixFamily] = []
    for end in inputs.indices {
      var best = PrefixFamily(inputs: end..<end + 1, shared: 0, tokens: inputs[end].count)
      var (shared, all) = (inputs[end].count, inputs[end].count)
      for start in (0..<end).reversed() {
        shared = min(shared, common[start + 1])
        all += inputs[start].count
        let tokens = all - shared * (end - start)
        if shared < leastShared || tokens > most { break }
        if fewest[start] + tokens < fewest[best.inputs.lowerBound] + best.tokens {
          best = PrefixFamily(inputs: start..<end + 1, shared: shared, tokens: tokens)
        }
      }
      fewest.append(fewest[best.inputs.lowerBound] + best.tokens)
      last.append(best)
    }
    var families: [PrefixFamily] = []
    var end = inputs.count
    while end > 0 {
      families.append(last[end - 1])
      end = families[families.count - 1].inputs.lowerBound
    }
    return families.reversed()
  }
}
