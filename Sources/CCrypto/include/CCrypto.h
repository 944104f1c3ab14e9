#ifndef CCRYPTO_H
#define CCRYPTO_H
#include <openssl/evp.h>
// EVP_sha256() and friends are functions already; nothing more is needed.
#endif
