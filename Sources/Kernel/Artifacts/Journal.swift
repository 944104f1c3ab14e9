import Foundation

/// What was done in a workspace, when and by whom: one file of JSON lines per process. Objects hold none of this, so that
/// they depend on nothing but their step.
public final class Journal: @unchecked Sendable {
  // Sendable: everything that changes is behind `lock`.

  /// One line, with the time, host and process the store added.
  public typealias Entry = [String: JSONValue]

  private let folder: String
  private let session: String
  private let lock = NSLock()
  /// The file of this process, once it has written.
  private var name = ""
  /// Seconds that computing each step last took, as far as the files have been read.
  private var durations: [String: (seconds: Double, clock: Double)] = [:]
  /// Bytes of each file when it was read.
  private var read: [String: Int] = [:]

  init(folder: String, session: String) {
    self.folder = folder
    self.session = session
  }

  /// Adds a line and waits until it is on disk.
  func append(_ entry: Entry) throws {
    lock.lock()
    defer { lock.unlock() }
    let now = Date().timeIntervalSince1970
    var line = entry
    line["time"] = .string(Journal.timestamp(now))
    line["clock"] = .number((now * 1e6).rounded() / 1e6)
    line["host"] = .string(Journal.host)
    line["process"] = .integer(Int(getpid()))
    line["session"] = .string(session)
    if name.isEmpty {
      try Files.makeFolder(folder)
      name = "\(Journal.timestamp(now, isCompact: true))-\(ProcessTag.own.text).jsonl"
    }
    let (text, file) = (JSONValue.object(line).canonical, "\(folder)/\(name)")
    try Files.append(text, to: file)
    note(line)
    // A file in which nothing else is new need not be read again.
    if let size = try Files.status(file)?.size, size == read[name, default: 0] + text.utf8.count + 1 {
      read[name] = size
    }
  }

  /// All lines of all processes, oldest first. A line that a crash cut short is left out.
  public func entries() throws -> [Entry] {
    let names = try Files.names(in: folder).filter { $0.hasSuffix(".jsonl") }
    let lines = try names.flatMap { try Journal.lines(of: folder + "/" + $0) }
    let clocks = lines.map { $0["clock"]?.doubleValue ?? 0 }
    return lines.indices.sorted { (clocks[$0], $0) < (clocks[$1], $1) }.map { lines[$0] }
  }

  /// The lines of one file that are whole.
  static func lines(of path: String) throws -> [Entry] {
    (try Files.text(path) ?? "").split(separator: "\n").compactMap { try? JSONValue(parsing: String($0)).objectValue }
  }

  /// Seconds that computing a step last took; nil when no journal tells. For a step not heard of, what this and other
  /// processes have written since is read.
  public func seconds(of key: String) throws -> Double? {
    lock.lock()
    defer { lock.unlock() }
    if durations[key] == nil { try readOn() }
    return durations[key]?.seconds
  }

  /// Reads the files that have grown.
  private func readOn() throws {
    for name in try Files.names(in: folder) where name.hasSuffix(".jsonl") {
      guard let size = try Files.status(folder + "/" + name)?.size, size != read[name] else { continue }
      for entry in try Journal.lines(of: folder + "/" + name) { note(entry) }
      read[name] = size
    }
  }

  private func note(_ entry: Entry) {
    // A journal is a text that anyone can edit: what no computation takes is not known.
    guard entry["event"] == "publish", let key = entry["key"]?.stringValue,
      let seconds = entry["seconds"]?.doubleValue, (0...1e9).contains(seconds)
    else { return }
    let clock = entry["clock"]?.doubleValue ?? 0
    if let known = durations[key], known.clock > clock { return }
    durations[key] = (seconds, clock)
  }

  /// As the kernel knows it; asking the network for a better name could take seconds.
  private static var host: String {
    var name = utsname()
    uname(&name)
    return withUnsafeBytes(of: &name.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// UTC: `2026-11-22T04:57:03Z`, or `20261122T045703` for file names.
  static func timestamp(_ time: Double, isCompact: Bool = false) -> String {
    var seconds = time_t(time)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let date = [String(parts.tm_year + 1900), two(parts.tm_mon + 1), two(parts.tm_mday)]
    let clock = [two(parts.tm_hour), two(parts.tm_min), two(parts.tm_sec)]
    if isCompact { return date.joined() + "T" + clock.joined() }
    return date.joined(separator: "-") + "T" + clock.joined(separator: ":") + "Z"
  }
}
