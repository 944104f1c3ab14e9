import Kernel

/// `du`: what the store takes.
struct DiskUse {
  let store: Store
  let console: Console

  func show() {
    do {
      let usage = try store.usage()
      var rows: [[TableData.Cell]] = usage.types.map {
        [.text("type"), .text($0.type), .integer($0.objects), .bytes($0.bytes), .missing]
      }
      rows += usage.names.map { [.text("name"), .text($0.name), .missing, .bytes($0.bytes), .bytes($0.shared)] }
      rows.append([.text("total"), .text("objects"), .integer(usage.objects), .bytes(usage.objectBytes), .missing])
      for (name, bytes) in [
        ("unfinished", usage.partialBytes), ("trash", usage.trashBytes), ("quarantine", usage.quarantineBytes),
        ("temporary", usage.temporaryBytes),
      ] where bytes > 0 { rows.append([.text("total"), .text(name), .missing, .bytes(bytes), .missing]) }
      console.show(
        TableData(columns: ["of", "what", "objects", "size", "shared"], rows: rows), name: "du", showsAll: true)
    } catch { console.report(Diagnostic.of(error)) }
  }
}

/// The commands that look after the store.
struct StoreCommands {
  let store: Store
  let console: Console

  func collect(_ options: Options) throws {
    let victims = try store.collectable(olderThan: options.older ?? 0, keepUnder: options.keepUnder)
    console.show(
      TableData(
        columns: ["name", "type", "size", "age", "recompute", "path"],
        rows: victims.map {
          [
            $0.name.map { .text($0) } ?? .missing, .text($0.type ?? "unfinished step"), .bytes($0.bytes),
            .seconds($0.age),
            .init(seconds: $0.seconds), .text($0.path),
          ]
        }), name: "gc", showsAll: true)
    let total = NumberText.bytes(victims.map(\.bytes).reduce(0, +))
    let freed =
      options.apply || options.emptyTrash
      ? try store.collect(options.apply ? victims : [], emptyingTrash: options.emptyTrash) : 0
    if options.apply {
      console.remark(
        options.emptyTrash
          ? "freed \(NumberText.bytes(freed))"
          : "moved \(NumberText.bytes(freed)) to the trash, where it is kept for a week (`--empty-trash` frees it now)")
    } else if victims.isEmpty {
      let age = NumberText.duration(max(options.older ?? 0, Store.youngest))
      console.remark("nothing to collect (only what is at least \(age) old is looked at)")
    } else {
      console.remark(
        "\(counted(victims.count, "value")), \(total); nothing was moved (`prn gc --apply` moves them to the trash)")
    }
    if options.emptyTrash { console.remark("the trash is empty") }
  }

  /// - Returns: the exit code: 4 when an object is damaged.
  func check() throws -> Int32 {
    console.progress.begin("fsck")
    let findings = try store.check { done, total in
      if console.isCancelled { throw Diagnostic("stopped", kind: .cancelled) }
      console.progress.update(done, of: total, "object")
    }
    console.progress.clear()
    console.show(
      TableData(
        columns: ["kind", "path", "finding"],
        rows: findings.map { [.text($0.kind.rawValue), .text($0.path), .text($0.text)] }),
      name: "fsck", showsAll: true)
    let serious = findings.count { $0.isSerious }
    console.remark(serious == 0 ? "no damage found" : counted(serious, "damaged object"))
    return serious == 0 ? 0 : Int32(Diagnostic.Kind.store.rawValue)
  }
}

extension Diagnostic {
  /// Any error as one sentence.
  static func of(_ error: any Error) -> Diagnostic {
    (error as? any Explained)?.diagnostic ?? Diagnostic("something unexpected went wrong: \(error)")
  }
}
