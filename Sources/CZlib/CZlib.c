#include "CZlib.h"

int prn_inflate_start(z_stream *stream) {
  // 15 bits of window, and 16 for the header of gzip.
  return inflateInit2(stream, 15 + 16);
}
