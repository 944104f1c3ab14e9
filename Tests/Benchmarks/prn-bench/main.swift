// Times the numeric parts of prn. It reads one request per line and answers each with one line of JSON, so that a
// driver can alternate between it and a peer while the machine's speed drifts.
//
//     forward FOLDER WINDOW COUNT     losses of COUNT windows of WINDOW tokens
//     backward FOLDER WINDOW COUNT    gradients of the same
//     block FOLDER TOKENS             one block over one sequence
//     assign NEURONS GROUPS
//     kmeans FILE ROWS COLUMNS K      f32 rows; centres start from the first K rows
//     oneshot FILE D N REMOVED        f64 W (D x N) then Gram (N x N)
//     greedy FILE D N REMOVED
//     networks FILE ROWS COLUMNS K    f32 signals
import Numerics
import Ops

Benchmarks.serve()
