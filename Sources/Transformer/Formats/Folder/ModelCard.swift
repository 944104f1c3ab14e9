extension LanguageModel {
  /// README.md of an exported folder: what the model is, where it comes from, and the lines that load it.
  func modelCard(_ target: FolderTarget, _ options: ModelFormat.Options) -> String {
    let family = target.configuration.family
    let removed = configuration.blockParameters - blockParameters
    let hundredths = Int((10_000 * Double(removed) / Double(max(1, configuration.blockParameters))).rounded())
    let share = "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    let isRemote = family.codeFile != nil
    let trust = isRemote ? ", trust_remote_code=True" : ""
    let rows = zip(target.layers, unitCounts(target.layers)).map {
      let heads = configuration.heads(units: $1.attention)
      return "| \($0) | \(heads.queries) | \(heads.keyValues) | \($1.ffn) |"
    }
    let hasBiases = pruning.blocks.contains { block in
      Module.allCases.contains { block[$0].hasAddedBias || block[$0].bridge != nil }
    }
    let uncounted = hasBiases ? ", without the biases that make up for others" : ""
    let server =
      isRemote
      ? "vLLM and llama.cpp do not load blocks of different sizes from a folder: write as=uniform for vLLM, as=gguf for llama.cpp."
      : "For vLLM: `vllm serve THIS_FOLDER`. For llama.cpp write as=gguf."
    return """
      ---
      library_name: transformers
      tags: [pruned, prn]
      ---

      # A pruned \(configuration.family.name) model

      \(share) % of the parameters of the blocks were removed (\(removed) of \(configuration.blockParameters)); \(totalParameters) parameters are left in all\(uncounted). Written by prn as \(target.words).

      ```python
      import torch
      from transformers import AutoModelForCausalLM, AutoTokenizer

      model = AutoModelForCausalLM.from_pretrained("THIS_FOLDER", dtype=torch.float32\(trust))
      tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER"\(trust))
      ```

      \(server)
      \(section("What was measured", options.measured))\(section("Where it comes from", options.origin))
      ## What is left

      `prn_units.json` says which heads and neurons of the unpruned model these are, and `prn_units.h5` says it in HDF5.

      | block | heads | key-value heads | neurons |
      |---|---|---|---|
      \(rows.joined(separator: "\n"))

      """
  }
}

/// A part of the card; nothing when there is nothing to say.
private func section(_ title: String, _ lines: [String]) -> String {
  lines.isEmpty ? "" : "\n## \(title)\n\n" + lines.joined(separator: "\n") + "\n"
}

extension FolderTarget {
  fileprivate var words: String {
    switch widths {
    case .own: "`\(configuration.family.className)`, with sizes of each block's own"
    case .whole: "`\(configuration.family.className)`, with its sizes and zeros where something was removed"
    case .even: "`\(configuration.family.className)`, all blocks of one width"
    }
  }
}
