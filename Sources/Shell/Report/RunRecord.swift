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
    /// What computing it took, now or when it was made; nil when not known.
    var seconds: Double?
    var bytes: Int
    /// Line of the script, from 1; nil for a value taken from the workspace.
    var line: Int?
  }

  /// What a statement showed.
  struct Output {
    enum Content {
      case text(String)
      case table(name: String, TableData)
      case figure(Figure)
    }
    var content: Content
    /// Line of the script, from 1; nil for what no line of it showed.
    var line: Int?
  }

  /// An error as printed, and the line of the script at fault.
  struct Failure {
    var text: String
    var line: Int?
  }

  var sourceName = ""
  var source = ""
  /// How to run the same again.
  var replay = ""
  /// When the run began, and the models it loaded.
  var date = ""
  var models: [String] = []
  var environment: [(name: String, value: String)] = []
  var parameters: [(name: String, value: String)] = []
  var steps: [Step] = []
  var outputs: [Output] = []
  var warnings: [String] = []
  /// Errors as printed; empty when the run succeeded.
  var errors: [Failure] = []
}

/// How a step came to its value.
enum StepStatus: String, Sendable {
  case run, cached, resumed, failed
}
