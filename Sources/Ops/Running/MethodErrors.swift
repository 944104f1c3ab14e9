import Kernel

/// What a method cannot work with, as the op that ran it says it: one sentence, and the argument at fault.
package protocol MethodError: Explained, CustomStringConvertible {
  /// The argument of the op that what is wrong came with.
  var argument: String { get }
}

extension MethodError {
  package var diagnostic: Diagnostic { Diagnostic(description, argument: argument) }
}

extension AllocationError: MethodError {
  package var argument: String { if case .notFinite = self { "evidence" } else { "rate" } }
}
extension AssignmentError: MethodError { package var argument: String { "affinity" } }
extension BlockSelectionError: MethodError {
  package var argument: String { if case .notTheWindow = self { "scores" } else { "count" } }
}
extension ClusterError: MethodError { package var argument: String { "activations" } }
extension LowRankError: MethodError {
  package var argument: String { if case .noRank = self { "rate" } else { "acts" } }
}
extension SlicingError: MethodError {
  package var argument: String {
    switch self {
    case .width: "width"
    case .nothingLeft: "rate"
    case .tooFewTokens: "corpus"
    }
  }
}
extension SurgeryError: MethodError {
  package var argument: String {
    switch self {
    case .notFinite: "model"
    case .noInverse: "damp"
    case .tooFewLines: "rate"
    }
  }
}
extension ContextWeightError: MethodError { package var argument: String { "tau" } }
extension FluctuationError: MethodError { package var argument: String { "activations" } }
extension NetworkError: MethodError { package var argument: String { "activations" } }
extension OptimalBrainError: MethodError { package var argument: String { "activations" } }
extension SelectionError: MethodError {
  package var argument: String {
    switch self {
    case .rateOutOfRange, .rateTooHigh, .layerRateTooHigh, .groupEmptied: "rate"
    case .scoreIsNotANumber: "scores"
    case .ratesDoNotMatch: "rates"
    }
  }
}

/// Runs methods on one part of a model; their errors say on which.
///
/// - Parameter argument: what the op calls the argument at fault, when that is not what most ops call it.
func at<Value>(_ place: String, argument: String? = nil, _ work: () throws -> Value) throws -> Value {
  do { return try work() } catch let error as any MethodError {
    throw Diagnostic("\(place): \(error)", argument: argument ?? error.argument)
  }
}

/// What is wrong with a file that is read here is wrong with `argument`, unless the error says otherwise.
func reading<Value>(_ argument: String, _ work: () throws -> Value) throws -> Value {
  do { return try work() } catch var error as Diagnostic {
    error.argument = error.argument ?? argument
    throw error
  }
}
