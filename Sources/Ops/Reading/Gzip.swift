import CZlib
import Kernel

/// The bytes behind gzip, all members of the file one after the other.
///
/// - Parameters:
///   - name: the file, for errors.
///   - limit: bytes that may come out; a thousand times as many as go in are possible.
/// - Throws: a sentence when the file ends too early, is damaged, or holds too much.
func gunzipped(_ bytes: [UInt8], name: String, atMost limit: Int) throws -> [UInt8] {
  var stream = z_stream()
  guard prn_inflate_start(&stream) == Z_OK else { throw Diagnostic("there is no memory to unpack \(name)") }
  defer { inflateEnd(&stream) }
  var result: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 1 << 18)
  var input = bytes
  try input.withUnsafeMutableBufferPointer { input in
    var taken = 0
    while true {
      // `avail_in` has 32 bits.
      let given = min(input.count - taken, 1 << 30)
      stream.next_in = input.baseAddress.map { $0 + taken }
      stream.avail_in = UInt32(given)
      let status = chunk.withUnsafeMutableBufferPointer { chunk in
        stream.next_out = chunk.baseAddress
        stream.avail_out = UInt32(chunk.count)
        return inflate(&stream, Z_NO_FLUSH)
      }
      let made = chunk.count - Int(stream.avail_out)
      taken += given - Int(stream.avail_in)
      result += chunk[..<made]
      if result.count > limit {
        throw Diagnostic("\(name) unpacks to more than \(limit) bytes, which memory has no room for", kind: .refused)
      }
      switch status {
      case Z_OK where made > 0 || taken < input.count: continue
      case Z_STREAM_END where taken == input.count: return
      case Z_STREAM_END where input[taken] == 0x1f: inflateReset(&stream)
      case Z_STREAM_END: return  // Padding after the last member, as tar and others leave it.
      case Z_OK, Z_BUF_ERROR:
        throw Diagnostic("\(name) is cut short: the gzip data ends after \(result.count) bytes of text")
      default: throw Diagnostic("\(name) is damaged gzip data after \(result.count) bytes of text")
      }
    }
  }
  return result
}
