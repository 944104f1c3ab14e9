import Kernel

/// What a lesion changed.
struct LesionOutcome: Sendable, Equatable {
  /// Change of the loss, summed over all targets, and over those of each cell; nats.
  var total = 0.0
  var cells: [Double]
  /// Mean of ‖W_S h_S‖² where it starts.
  var energy = 0.0

  static let columns: [Column<LesionOutcome>] = [
    .number("total", \.total), .number("energy", \.energy), .list("cells", \.cells, per: "cell", "change of each"),
  ]
}
