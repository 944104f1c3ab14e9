import Transformer

// What is known of values before they exist. The names of the properties are those in the store; nil is not known.

extension Model {
  public struct Facts: Codable, Sendable {
    /// Blocks, so that positions among them are checked before anything runs.
    var layers: Int?
  }
}

extension Corpus {
  public struct Facts: Codable, Sendable {
    /// Whether the text is not cut into windows.
    var whole: Bool
    /// Whether pages are told apart.
    var pages: Bool?
    /// How many windows it was cut into.
    var windows: Int?
  }
}

extension Activations {
  public struct Facts: SiteKeeping, Codable, Sendable {
    var sites: [Site]
    var keep: [Kept]
    /// Whether what is kept is divided by token clusters, and by groups of neurons.
    var clustered: Bool
    var grouped: Bool
    /// Blocks of the model.
    var layers: Int?
  }
}

extension Networks {
  public struct Facts: Codable, Sendable {
    /// Blocks of the model.
    var layers: Int?
  }
}

extension Clusters {
  public struct Facts: Codable, Sendable {
    /// Clusters of a layer; not known beforehand of kinds that a file names.
    var k: Int?
  }
}

extension Scores {
  public struct Facts: Codable, Sendable {
    var grouping: Grouping.Kind?
    /// Blocks of the model.
    var layers: Int?
    /// Whether units of different layers compare.
    var comparesLayers: Bool?
    /// Whether units are judged, and whether whole blocks are.
    var pieces = true
    var blocks = false
  }
}

extension Scores.Grouping {
  /// In which company neurons were judged; a refit needs Gram matrices of the same.
  public enum Kind: String, Codable, Sendable {
    /// All of a module together.
    case plain
    /// Group by group.
    case grouped
    /// Masks of both kinds were combined.
    case mixed
  }
}

extension Mask {
  public struct Facts: Codable, Sendable {
    var grouping: Scores.Grouping.Kind?
  }
}
