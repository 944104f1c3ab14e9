/// Why a model folder cannot be used. Cases carry facts; the wording is below, once.
public enum ModelError: Error, Equatable, Sendable {
  case unknownArchitecture(found: String, known: [String])
  case missingKey(String, file: String)
  case badValue(key: String, found: String, wanted: String)
  case unknownRopeScaling(String)
  case missingTensor(String, shape: [Int])
  case wrongShape(tensor: String, found: [Int], expected: [Int])
  case notFinite(tensor: String, index: Int)
  case siteAbsent(Site, family: String)
  case tokenOutOfRange(token: Int, position: Int, vocabulary: Int)
  case sequenceTooLong(length: Int, limit: Int)
  case pruningMismatch(layer: Int, what: String, found: Int, expected: Int)
  case cannotFollow(_ earlier: String, _ later: String)
  case cannotExport(reason: String)
  case file(path: String, reason: String)
}

extension ModelError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unknownArchitecture(let found, let known):
      "model_type is `\(found)`; the known ones are \(known.joined(separator: ", "))"
    case .missingKey(let key, let file): "\(file) has no `\(key)`"
    case .badValue(let key, let found, let wanted): "config.json: `\(key)` is \(found), wanted \(wanted)"
    case .unknownRopeScaling(let kind):
      "config.json asks for rope scaling `\(kind)`; the known kinds are default, linear, llama3 and longrope with one list"
    case .missingTensor(let name, let shape): "tensor `\(name)` of shape \(shape) is missing from the weights"
    case .wrongShape(let tensor, let found, let expected):
      "tensor `\(tensor)` has shape \(found), expected \(expected)"
    case .notFinite(let tensor, let index): "tensor `\(tensor)` holds NaN or infinity (first at element \(index))"
    case .siteAbsent(let site, let family): "\(site.rawValue) does not exist in \(family), which has no gate"
    case .tokenOutOfRange(let token, let position, let vocabulary):
      "token \(token) at position \(position) is outside the vocabulary of \(vocabulary)"
    case .sequenceTooLong(let length, let limit):
      "a sequence of \(length) tokens is longer than the model's \(limit) positions"
    case .pruningMismatch(let layer, let what, let found, let expected):
      "the pruning of block \(layer) has \(found) \(what), the model has \(expected)"
    case .cannotFollow(let earlier, let later): "\(earlier) cannot be followed by \(later)"
    case .cannotExport(let reason): reason
    case .file(let path, let reason): "\(path) \(reason)"
    }
  }
}
