// Text as lists of code points, with the string functions of Python, which is what the evaluation harness is written in.
// Swift's characters are graphemes: "\r\n" is one of them, and an accent joins the letter before it.

typealias Scalars = [Unicode.Scalar]

extension Unicode.Scalar {
  /// What `str.isspace`, `strip`, and `\s` of Python's regular expressions take for white space.
  var isSpace: Bool { properties.isWhitespace || (0x1C...0x1F).contains(value) }
}

extension Scalars {
  init(_ text: String) { self.init(text.unicodeScalars) }

  var text: String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: self)
    return String(view)
  }

  /// Without white space at both ends.
  var stripped: Scalars { Scalars(trimmedStart.trimmedEnd) }

  /// `str.replace`: every occurrence from the left, none of them overlapping.
  func replacing(_ old: String, with new: String) -> Scalars {
    let (old, new) = (Scalars(old), Scalars(new))
    var result: Scalars = []
    result.reserveCapacity(count)
    var at = 0
    while at < count {
      if self[at] == old[0], at + old.count <= count, self[at..<(at + old.count)].elementsEqual(old) {
        result += new
        at += old.count
      } else {
        result.append(self[at])
        at += 1
      }
    }
    return result
  }

  /// `re.sub(open + r"\s*([^close]*?)\s*" + close, …)`: no white space just inside a pair of brackets or quotes.
  func tightened(_ open: Unicode.Scalar, _ close: Unicode.Scalar) -> Scalars {
    var result: Scalars = []
    result.reserveCapacity(count)
    var at = 0
    while let start = self[at...].firstIndex(of: open), let end = self[(start + 1)...].firstIndex(of: close) {
      result += self[at...start]
      result += Scalars(self[(start + 1)..<end]).stripped
      result.append(close)
      at = end + 1
    }
    return result + self[at...]
  }

  /// The parts between runs of white space, an empty one at an end that is white space: `len(re.split(r"\s+", text))`.
  var words: Int {
    var runs = 0
    for index in indices where self[index].isSpace && (index == 0 || !self[index - 1].isSpace) { runs += 1 }
    return runs + 1
  }

  /// `str.capitalize`: the first letter as in a title, the rest in lower case.
  var capitalized: Scalars {
    guard let first else { return self }
    return Scalars(first.properties.titlecaseMapping) + dropFirst().flatMap { Scalars($0.properties.lowercaseMapping) }
  }
}

extension BidirectionalCollection<Unicode.Scalar> {
  var trimmedStart: SubSequence { drop { $0.isSpace } }
  var trimmedEnd: SubSequence {
    var rest = self[...]
    while let last = rest.last, last.isSpace { rest.removeLast() }
    return rest
  }
}
