import Kernel

/// What happened in a run, in the order in which it happened: the report is made of it.
struct RunRecord {
  struct Step {
    /// The variable, or the op for a value without a name.
    var name: String
    var op: String
    var type: String
    var summary: String
    var key: String
    /// Hash of the value.
    var content: String
    /// Keys of the values it was made from.
    var inputs: [String]
    var status: StepStatus
    var seconds: Double
    var bytes: Int
    /// Line of the script, from 1; nil for a value taken from the workspace.
    var line: Int?
  }

  enum Output {
    case text(String)
    case table(name: String, TableData)
    case figure(Figure)
  }

  var sourceName = ""
  var source = ""
  /// How to run the same again.
  var replay = ""
  var environment: [(name: String, value: String)] = []
  var parameters: [(name: String, value: String)] = []
  var steps: [Step] = []
  var outputs: [Output] = []
  var warnings: [String] = []
  /// Errors as printed; empty when the run succeeded.
  var errors: [String] = []
}

/// How a step came to its value.
enum StepStatus: String, Sendable {
  case run, cached, resumed, failed
}
