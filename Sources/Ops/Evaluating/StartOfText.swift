import Kernel
import Transformer

/// Whether prompts and pages start with a token for the start of a text; `add_bos_token` of lm-evaluation-harness.
enum StartOfText: String, Choice {
  /// As the tokenizer's own default has it: the harness since late 2025.
  case tokenizer
  /// Nothing is added: the harness before, and the papers made with it.
  case legacy
  /// BOS, also where the tokenizer would add none.
  case always

  var meaning: String {
    switch self {
    case .tokenizer: "as the tokenizer has it"
    case .legacy: "nothing is added, as the papers' evaluations"
    case .always: "BOS, also where the tokenizer would add none"
    }
  }
}

extension Tokenizer {
  /// The token before a text that has nothing before it: BOS, else EOS.
  func startOfText() throws -> Int32 {
    guard let token = bos ?? eos else {
      throw Diagnostic(
        "the model names no token for the start of a text: neither bos_token nor eos_token is set", argument: "model")
    }
    return token
  }

  /// The tokens of a text, given without anything added, with what belongs around it.
  func started(_ tokens: [Int32], _ start: StartOfText) throws -> [Int32] {
    switch start {
    case .legacy: return tokens
    case .tokenizer: return prefix + tokens + suffix
    case .always:
      guard let bos else { throw Diagnostic("the model names no bos_token to start with", argument: "bos") }
      return (prefix.isEmpty ? [bos] : prefix) + tokens + suffix
    }
  }
}
