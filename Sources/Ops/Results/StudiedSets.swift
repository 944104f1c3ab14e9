import Kernel

/// What a study looks at one by one: the networks, groups or clusters of a model, or masks.
protocol StudiedSets {
  /// What one of them is called.
  static var noun: String { get }
  /// Content hash of the model they are of.
  var model: String { get }
}

extension Networks: StudiedSets {
  static let noun = "network"
  var model: String { structure.model }
}

extension Groups: StudiedSets {
  static let noun = "group"
  var model: String { structure.model }
}

extension Clusters: StudiedSets {
  static let noun = "cluster"
}

extension Mask: StudiedSets {
  static let noun = "mask"
  var model: String { structure.model }
}

extension StudiedSets {
  var noun: String { Self.noun }

  /// - Throws: when they are of another model.
  func require(of model: ArtifactReference, argument: String) throws {
    guard self.model != model.content else { return }
    throw Diagnostic("the \(noun)s were made on another model", argument: argument)
  }
}

extension Networks {
  /// - Throws: at the first of some parameters of networks that is given, when the value is something else.
  static func require(_ type: ArtifactType?, for parameters: KeyValuePairs<String, Bool>) throws {
    guard let type, type.name != Networks.type.name else { return }
    for (name, isGiven) in parameters where isGiven {
      throw Diagnostic(
        "\(name)= is for networks, and this is a value of type \(type.name)", argument: name, kind: .usage)
    }
  }

  func require(run: Int, argument: String = "run") throws {
    guard run >= settings.runs else { return }
    throw Diagnostic("there is no run \(run); the networks have \(counted(settings.runs, "run"))", argument: argument)
  }
}
