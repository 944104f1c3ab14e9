import Kernel
import Numerics

/// What the numerical work runs on, chosen once at start: results depend on the kernels, never on the threads.
public enum Processor {
  /// How many workers may compute at the same time.
  public static var threads: Int {
    get { Parallel.threads }
    set { Parallel.threads = newValue }
  }

  /// The kernels of the linear algebra library in use.
  public static var core: String { BLAS.core }

  /// What kinds of instructions the processor has: loops are compiled once for each.
  public static var instructions: String { BLAS.instructions }

  /// "OpenBLAS 0.3.21 Zen, 2 threads".
  public static var description: String { BLAS.description }

  /// - Throws: `Diagnostic` when there are no such kernels or this processor cannot run them.
  public static func use(core: String) throws {
    do { try BLAS.configure(core: core) } catch { throw Diagnostic(error.description, kind: .usage) }
  }
}
