import Foundation
import Glibc

/// A program running in a terminal that the test holds the other end of.
final class PseudoTerminal {
  private let master: Int32
  private let process: pid_t
  private(set) var seen = ""
  private var status: Int32?

  struct Failed: Error {}

  init(_ words: [String], in folder: String, environment: [String: String], columns: UInt16 = 100, rows: UInt16 = 40)
    throws
  {
    // What posix_openpt, unlockpt and ptsname do; Swift does not see those on Linux.
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    let (setLock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)  // TIOCSPTLCK, TIOCGPTN
    var (isLocked, number): (Int32, Int32) = (0, 0)
    guard master >= 0, ioctl(master, setLock, &isLocked) == 0, ioctl(master, getNumber, &number) == 0 else {
      throw Failed()
    }
    let terminal = "/dev/pts/\(number)"
    modesAtFirst = PseudoTerminal.modes(master)
    var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    _ = ioctl(master, UInt(TIOCSWINSZ), &size)

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // Opened after the new session begins, so that it becomes the controlling terminal.
    posix_spawn_file_actions_addopen(&actions, 0, terminal, O_RDWR, 0)
    posix_spawn_file_actions_adddup2(&actions, 0, 1)
    posix_spawn_file_actions_adddup2(&actions, 0, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // 0x80 is POSIX_SPAWN_SETSID; the signals a test runner ignores must not be ignored here.
    var everything = sigset_t()
    sigfillset(&everything)
    posix_spawnattr_setsigdefault(&attributes, &everything)
    var nothing = sigset_t()
    sigemptyset(&nothing)
    posix_spawnattr_setsigmask(&attributes, &nothing)
    posix_spawnattr_setflags(&attributes, Int16(0x80 | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    var pid = pid_t()
    let launch = ["sh", "-c", "cd \"$1\" && shift && exec \"$@\"", "sh", folder, Program.path]
    let arguments = (launch + words).map { strdup($0) } + [nil]
    let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in arguments + variables { free(pointer) } }
    guard posix_spawn(&pid, "/bin/sh", &actions, &attributes, arguments, variables) == 0 else { throw Failed() }
    process = pid
  }

  deinit {
    if status == nil {
      kill(process, SIGKILL)
      waitpid(process, nil, 0)
    }
    close(master)
  }

  func send(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { write(master, $0.baseAddress, bytes.count) }
  }

  func signal(_ number: Int32) { kill(process, number) }

  /// Waits until the output since the last call holds `text`.
  /// - Returns: whether it did within `seconds`.
  func sees(_ text: String, within seconds: Double = 20) -> Bool {
    let deadline = Date().addingTimeInterval(seconds)
    while true {
      if let found = seen.range(of: text) {
        seen = String(seen[found.upperBound...])
        return true
      }
      guard Date() < deadline, readMore(0.1) else { return seen.contains(text) }
    }
  }

  /// Waits for the end of the program.
  func exitStatus(within seconds: Double = 20) -> Int32? {
    let deadline = Date().addingTimeInterval(seconds)
    var raw: Int32 = 0
    while Date() < deadline {
      if waitpid(process, &raw, WNOHANG) == process {
        status = raw & 0x7F == 0 ? (raw >> 8) & 0xFF : 128 + (raw & 0x7F)
        return status
      }
      _ = readMore(0.05)
    }
    return nil
  }

  /// Presses Ctrl-D until the program ends: one that comes while a statement still runs is lost with the line it was on.
  func leave(within seconds: Double = 20) -> Int32? {
    let deadline = Date().addingTimeInterval(seconds)
    while Date() < deadline {
      send("\u{4}")
      if let status = exitStatus(within: 0.5) { return status }
    }
    return nil
  }

  /// The terminal's modes, as numbers to compare.
  var modes: [UInt32] { PseudoTerminal.modes(master) }

  /// The modes before the program started.
  let modesAtFirst: [UInt32]

  private static func modes(_ terminal: Int32) -> [UInt32] {
    var modes = termios()
    tcgetattr(terminal, &modes)
    return [modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag]
  }

  /// - Returns: false at the end of the output.
  private func readMore(_ seconds: Double) -> Bool {
    var poller = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
    guard poll(&poller, 1, Int32(seconds * 1000)) > 0 else { return true }
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = read(master, &buffer, buffer.count)
    guard count > 0 else { return false }
    seen += String(decoding: buffer[..<count], as: UTF8.self)
    return true
  }
}
