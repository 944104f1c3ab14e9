import Kernel

/// Every op, in the order of the work.
public let catalog = Catalog(
  [
    Load.self, Text.self, Capture.self, KMeans.self, Kinds.self, Taylor.self, Assign.self, CanICA.self, Autoencode.self,
    Match.self,
    Describe.self, Preserve.self, Lesion.self, Connect.self, MakeCards.self, Flap.self, OBC.self, Score.self,
    Ablate.self,
    Saliency.self, Allocate.self, MakeMask.self, Combine.self, Prune.self, Cascade.self, LowRank.self, Slice.self,
    Surgeon.self,
    Eval.self, Generate.self,
    Measure.self,
    Compare.self,
  ], algebra: Combine.self, conditions: ["precision": "float32"])
