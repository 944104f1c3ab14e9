import CEditLine
import Glibc

/// Ctrl-C, SIGTERM and SIGHUP, as the flags their handlers set.
enum Interrupts {
  static func install() {
    prn_streams_open()
    prn_signals_install()
  }
  /// How often Ctrl-C was pressed since the last `clear`.
  static var count: Int { Int(prn_signals_interrupts()) }
  /// The signal that asks the process to end.
  static var termination: Int32? {
    let number = prn_signals_termination()
    return number == 0 ? nil : number
  }
  /// Whether the work in hand should stop.
  static var isStopping: Bool { count > 0 || termination != nil }
  static func clear() { prn_signals_clear() }
  /// As if Ctrl-C were pressed.
  static func interrupt() { kill(getpid(), SIGINT) }
}
