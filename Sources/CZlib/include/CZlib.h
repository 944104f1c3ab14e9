#ifndef CZLIB_H
#define CZLIB_H
#include <zlib.h>

/// Prepares a zeroed stream to read gzip; `inflateInit2` itself is a macro, which Swift does not see.
int prn_inflate_start(z_stream *stream);
#endif
