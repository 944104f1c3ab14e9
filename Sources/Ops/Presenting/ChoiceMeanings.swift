import Kernel
import Transformer

// What the choices of parameters mean, for help, completion and the reference.

extension Statistic {
  public static let meanings = [
    "values": "the activations of every token",
    "moments": "mean and variance of every feature, per cluster with by=",
    "gram": "sums of products of all pairs of features, per group and cluster with groups= and by=",
    "stream": "nothing: whoever needs the signals walks the model again",
  ]
}

extension Site {
  public static let meanings = [
    "block.in": "the residual stream that enters the block",
    "attn.heads": "all heads side by side, the input of the attention output map",
    "ffn.resid": "the residual stream after attention",
    "ffn.in": "the normalised residual stream, the input of gate and up",
    "ffn.gate_pre": "the gate projection before the activation function",
    "ffn.gate": "the gate projection after the activation function",
    "ffn.up": "the up projection",
    "ffn.act": "the input of the down projection: act(gate) x up",
    "block.out": "the residual stream that leaves the block",
  ]
}

extension FluctuationMetric {
  package static let meanings = [
    "wifv": "variance of the input x squared norm of its weights",
    "ifv": "variance of the input",
    "wifn": "norm of the weights x root mean square of the input",
  ]
}

extension RateBase {
  package static let meanings = [
    "block": "the linear parameters of the blocks, as FLAP and FANG count",
    "total": "all parameters of the model, as CanICA counts",
  ]
}

extension MakeMask.Scope {
  static let meanings = [
    "global": "all layers and modules compete, scores that need it standardised per layer first",
    "layer": "every layer loses the same share",
  ]
}

extension Compensation {
  static let meanings = [
    "none": "nothing is added",
    "bias": "the mean of what the removed inputs contributed (FLAP)",
    "ls": "the weights that stay are refitted by least squares (OBC)",
  ]
}

extension Prune.Stream {
  static let meanings = [
    "dense": "means in the model as it was (FLAP)", "pruned": "means in the model that is already pruned (CanICA)",
  ]
}

extension Cascade.By {
  static let meanings = ["flap": "by fluctuation", "obc": "by the loss a removal costs"]
}

extension Cascade.Refit {
  static let meanings = [
    "own": "ls for obc, bias for flap", "none": "nothing is added", "bias": "the mean of what was removed",
    "ls": "a refit by least squares",
  ]
}

extension Criterion.OptimalBrain.How {
  static let meanings = [
    "oneshot": "score once, remove the lowest", "greedy": "one unit at a time, the curvature updated after each",
  ]
}

extension Criterion.OptimalBrain.HeadScore {
  static let meanings = [
    "block": "the loss of removing all columns of a unit together",
    "sum": "the sum of the losses of removing each column alone",
  ]
}

extension ContextWeighting {
  package static let meanings = [
    "context": "clusters near the group's own count more", "matched": "only the group's own cluster counts",
    "uniform": "all clusters count alike", "reverse": "clusters far from the group's own count more",
  ]
}

extension AllocationRule {
  package static let meanings = [
    "clip": "complex blocks lose less, between half and one and a half of the rate (FANG)",
    "owl": "complex blocks lose less, without limits (OWL)",
    "minmax": "complexity scaled to half and one and a half of the rate; the mean moves",
    "uniform": "every block the same", "taylor": "as clip, by the block's output sensitivity",
  ]
}

extension SharedRule {
  package static let meanings = [
    "frequency": "the neurons that most clusters want",
    "iterative": "one after the other, with lists made anew (LLaMA-MoE)",
  ]
}

extension AffinityScale {
  package static let meanings = [
    "raw": "scores as they are", "rowsum": "each cluster's scores sum to 1", "rank": "each cluster's scores as ranks",
  ]
}

extension Contrast {
  package static let meanings = ["cube": "u^3, kurtosis", "logcosh": "tanh u", "exp": "u exp(-u^2/2)"]
}

extension UnmixingOrder {
  package static let meanings = ["parallel": "all components at once", "deflation": "one component after the other"]
}

extension Score.How {
  static let meanings = [
    "wanda": "mean over outputs of |W| x root mean square of the input",
    "magnitude": "norm of the unit's weights",
    "block_influence": "how much the whole block turns the residual stream",
    "random": "independent uniform numbers: the control",
    "max_abs_z": "of networks: the largest |z| of a neuron",
    "count": "of networks: in how many of them a neuron is key",
    "sum": "of networks: the sum of squared z",
  ]
}

extension Text.Take {
  static let meanings = [
    "random": "windows at random starts, drawn as the papers' code draws them",
    "order": "windows one after the other from the start",
  ]
}

extension Text.Join {
  static let meanings = [
    "none": "the text as it is", "papers": "lines joined as the papers' code joins them",
    "pages": "WikiText's pages, each by itself, as lm-evaluation-harness reads them",
  ]
}

extension Assign.How {
  static let meanings = [
    "exact": "the optimum of the transportation problem",
    "greedy": "the largest remaining score whose group has room goes first",
    "random": "equal groups at random: the control", "single": "one group of all that is not shared",
  ]
}

extension Match.Rows {
  static let meanings = ["layer": "one row per layer", "network": "one row per network"]
}

extension CanICA.Reduction {
  static let meanings = [
    "concat": "the samples of a run are stacked, as the authors do",
    "cca": "canonical correlations across samples first",
  ]
}

extension CanICA.Analysis {
  static let meanings = ["fast": "FastICA", "none": "the principal components as they are: the control"]
}

extension CanICA.Scaling {
  static let meanings = [
    "zscore": "mean 0 and standard deviation 1 over the run", "zscore_per_subject": "the same, sample by sample",
    "center": "only the mean is taken off",
  ]
}

extension CanICA.Detail {
  static let meanings = [
    "maps": "maps, time courses and what follows", "max": "per neuron the largest |z| and where it is key",
  ]
}

extension StartOfText {
  static let meanings = [
    "tokenizer": "as the tokenizer has it", "legacy": "nothing is added, as the papers' evaluations",
    "always": "BOS, also where the tokenizer would add none",
  ]
}

extension MakeMask.Unit {
  static let meanings = [
    "piece": "a neuron or an attention unit", "block": "all of a block: the residual stream passes it as it is",
  ]
}

extension Saliency.How {
  static let meanings = [
    "param_first": "|w g| summed over a unit's weights",
    "param_second": "|w acc w|, with acc the mean square of the windows' gradients",
    "param_mix": "|w g - 1/2 w acc w|", "vectorize": "|sum of w g| over each row or column",
    "gate": "|dL/dm| of a gate m on each unit",
  ]
}

extension Ablate.Order {
  static let meanings = [
    "oneshot": "each block alone is left out", "greedy": "the block that harms least goes, then the next without it",
  ]
}

extension Ablate.Protection {
  static let meanings = ["nothing": "no block", "ends": "the first and the last of the blocks that are left"]
}

extension Combine.How {
  static let meanings = [
    "or": "keep what any of the masks keeps", "and": "keep what all keep",
    "xor": "keep what an odd number of them keeps", "not": "keep what the mask drops",
  ]
}

extension Eval.Detail {
  static let meanings = ["tokens": "the loss of every target of running text"]
}
