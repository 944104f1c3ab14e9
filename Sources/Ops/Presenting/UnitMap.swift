import Foundation
import Kernel

/// Which heads and neurons of the unpruned model an exported folder holds. `prn_units.json` says it for everybody;
/// `prn_units.h5` says the same for whoever reads the rest of the work as HDF5.
enum UnitMap {
  /// Writes the HDF5 file of a folder that has the JSON one: `layer_NN/heads`, `kv_heads` and `neurons` for each block of
  /// the folder, and as its attribute `block` the number that it had.
  static func write(in folder: String) throws {
    let map = try JSONValue(parsing: String(contentsOfFile: folder + "/prn_units.json", encoding: .utf8))
    let file = try HDF5File(creating: folder + "/prn_units.h5")
    for (layer, block) in (map["blocks"]?.arrayValue ?? []).enumerated() {
      for (name, units) in [("heads", "query heads"), ("kv_heads", "key-value heads"), ("neurons", "neurons")] {
        let numbers = (block[name]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        let path = "\(layerName(layer))/\(name)"
        try numbers.withUnsafeBytes { try file.write(path, $0, type: .int32, shape: [numbers.count]) }
        try file.setAttribute(
          "long_name", .string("\(units) of the unpruned model, in the order they have here"), of: path)
      }
      try file.setAttribute("block", .integer(block["block"]?.intValue ?? layer), of: layerName(layer))
    }
    try file.close()
  }
}
