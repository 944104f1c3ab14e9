// Times the numeric parts of prn. It reads one request per line and answers each with one line of JSON, so that a
// driver can alternate between it and a peer while the machine's speed drifts.
//
//     product N                       one product of N x N matrices of floats, the best of five
//     forward FOLDER WINDOW COUNT     losses of COUNT windows of WINDOW tokens
//     backward FOLDER WINDOW COUNT    gradients of the same
//     block FOLDER TOKENS             one block over one sequence
//     assign NEURONS GROUPS
//     kmeans FILE ROWS COLUMNS K      f32 rows; centres start from the first K rows
//     oneshot FILE D N REMOVED        f64 W (D x N) then Gram (N x N)
//     greedy FILE D N REMOVED
//     networks FILE ROWS COLUMNS K    f32 signals
//
// `prn-bench model SHAPE BLOCKS FOLDER DONOR` writes a checkpoint of random weights instead: 7b, 70b or small, with the
// tokenizer of the folder DONOR.
import Foundation
import MadeUpModels
import Numerics
import Ops

let words = CommandLine.arguments.dropFirst()
if words.first == "model" {
  let given = Array(words.dropFirst())
  guard given.count == 4, let shape = MadeUpModel.shapes[given[0]], let blocks = Int(given[1]), blocks > 0 else {
    print("prn-bench model \(MadeUpModel.shapes.keys.sorted().joined(separator: "|")) BLOCKS FOLDER DONOR")
    exit(2)
  }
  try FileManager.default.createDirectory(atPath: given[2], withIntermediateDirectories: true)
  try shape.write(blocks: blocks, tokenizerOf: given[3], to: given[2])
} else {
  Benchmarks.serve()
}
