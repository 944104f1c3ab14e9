import Kernel

/// What a report's figures are made from, kept so that two models can be compared window by window or item by item.
public enum Evidence: Sendable {
  /// Windows of running text.
  case windows(WindowLosses)
  /// Whole pages, in rolling windows.
  case pages(PageLosses)
  /// Multiple-choice items of tasks.
  case items(TaskItems)
  /// What the model costs.
  case costs(Costs)

  enum Kind: Sendable {
    case windows, pages, items, costs
  }
  var kind: Kind {
    switch self {
    case .windows: .windows
    case .pages: .pages
    case .items: .items
    case .costs: .costs
    }
  }

  var windows: WindowLosses? { if case .windows(let windows) = self { windows } else { nil } }
  var pages: PageLosses? { if case .pages(let pages) = self { pages } else { nil } }
  var costs: Costs? { if case .costs(let costs) = self { costs } else { nil } }
  var items: TaskItems? { if case .items(let items) = self { items } else { nil } }

  func write(to writer: any ArtifactWriter) throws {
    switch self {
    case .windows(let windows): try windows.write(to: writer)
    case .pages(let pages): try pages.write(to: writer)
    case .items(let items): try items.write(to: writer)
    case .costs(let costs): try costs.write(to: writer)
    }
  }

  init(from reader: any ArtifactReader) throws {
    if reader.has("page/nll") {
      self = .pages(try PageLosses(from: reader))
    } else if reader.has("item/gold") {
      self = .items(try TaskItems(from: reader))
    } else if reader.has("run/decode") {
      self = .costs(try Costs(from: reader))
    } else {
      self = .windows(try WindowLosses(from: reader))
    }
  }
}

/// Losses of whole pages.
public struct PageLosses: Sendable {
  /// Negative log-likelihood of each page, in nats.
  public let loss: [Double]
  /// Targets scored in each page.
  public let tokens: [Double]
  /// Words and bytes of each page as it was published, before it was detokenised.
  public let words: [Double]
  public let bytes: [Double]

  init(loss: [Double], tokens: [Double], words: [Double], bytes: [Double]) {
    self.loss = loss
    self.tokens = tokens
    self.words = words
    self.bytes = bytes
  }

  func write(to writer: any ArtifactWriter) throws {
    try writer.vector("page/nll", loss, axis: "page", meaning: "negative log-likelihood", units: "nat")
    try writer.vector("page/tokens", tokens, axis: "page", meaning: "targets scored")
    try writer.vector("page/words", words, axis: "page", meaning: "words as published")
    try writer.vector("page/bytes", bytes, axis: "page", meaning: "bytes as published")
    try writer.preview(
      title: "negative log-likelihood per word of each page", values: zip(loss, words).map { Float($0 / $1) },
      axis: "page")
  }

  init(from reader: any ArtifactReader) throws {
    loss = try reader.array("page/nll", as: Double.self)
    tokens = try reader.array("page/tokens", as: Double.self)
    words = try reader.array("page/words", as: Double.self)
    bytes = try reader.array("page/bytes", as: Double.self)
  }
}
