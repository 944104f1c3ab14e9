import Kernel

extension Texts: Showable {
  public func table(_ request: ShowRequest) throws -> TableData? {
    TableData(
      columns: ["prompt", "text", "tokens"],
      rows: texts.map { [.text($0.prompt), .text($0.text), .integer($0.tokens.count)] })
  }
}
