/// Why no networks were found.
package enum NetworkError: Error, Equatable, CustomStringConvertible {
  case tooFewTokens(Int)
  case tooManyComponents(asked: Int, largest: Int)
  case mostlyConstant(constant: Int, columns: Int)
  case rankTooLow(rank: Int, asked: Int)
  case notFinite(column: Int)
  case diverged(attempts: Int)
  case noneHeldOut(windows: Int, hold: Int)

  package var description: String {
    switch self {
    case .tooFewTokens(let tokens): "networks need at least two tokens; there are \(tokens)"
    case .tooManyComponents(let asked, let largest):
      "\(asked) components cannot be found; the data allow \(largest) at most"
    case .mostlyConstant(let constant, let columns): "\(constant) of \(columns) signals are constant, more than half"
    case .rankTooLow(let rank, let asked):
      "the signals span \(rank) dimensions, fewer than the \(asked) components asked for"
    case .notFinite(let column): "signal \(column) holds NaN or infinity"
    case .noneHeldOut(let windows, let hold):
      "\(windows) samples leave none to hold out; every \(hold)th is held out"
    case .diverged(let attempts): "the search for networks overflowed from \(attempts) random starts"
    }
  }
}
