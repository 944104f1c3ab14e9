import Kernel
import Transformer

extension Model: Exportable {
  public static var exportFormats: [String] { ExportFormat.allCases.map(\.rawValue) }

  public func export(_ request: ExportRequest) throws {
    let format = request.format.flatMap(ExportFormat.init(rawValue:)) ?? ExportFormat.allCases[0]
    try network.export(to: request.path, as: format, pulse: { try request.progress(0, 1, "tensor") })
  }
}
