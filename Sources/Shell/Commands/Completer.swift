import Kernel

/// Candidates for the word in front of the cursor, from the language's own completion.
struct Completer {
  let session: Session
  let store: Store
  let settings: Settings

  func complete(_ text: String) -> CompletionList {
    let found = completions(text)
    let bytes = Array(text.utf8)
    let replaced = String(decoding: bytes[found.range.clamped(to: 0..<bytes.count)], as: UTF8.self)
    return CompletionList(
      replaced: replaced.count,
      candidates: found.candidates.map {
        CompletionList.Candidate(text: $0.text, note: $0.meaning, goesOn: [.op, .word].contains($0.kind))
      })
  }

  /// At the end of `text`.
  func completions(_ text: String) -> Completions {
    var sources = CompletionSources()
    sources.columns = columns
    sources.settings = { settings.completions(of: $0) }
    sources.summary = { handle in (try? store.find(handle.reference.key))?.summary }
    return session.completions(text, cursor: text.utf8.count, sources: sources)
  }

  /// The columns of a table, for `x=` and `y=`; only of values that are small enough to be read at a key press.
  private func columns(_ name: String) -> [String] {
    guard let handle = session.value(named: name)?.handle, let stored = try? store.find(handle.reference.key),
      stored.bytes < 8 << 20,
      let showable = try? handle.load() as? any Showable
    else { return [] }
    return (try? showable.table(ShowRequest(name: "")))??.columns ?? []
  }
}
