#include "engine/queue/sha256.hpp"

#include <openssl/evp.h>

#include <array>

#include "kernels/core/error.hpp"

namespace kiban::engine {

std::string sha256(std::string_view text) {
  std::array<unsigned char, 32> digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
    throw Error(ErrorCode::internal, "OpenSSL computes no SHA-256; check its installation");
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hexadecimal;
  hexadecimal.reserve(64);
  for (const unsigned char byte : digest) {
    hexadecimal += digits[byte >> 4];
    hexadecimal += digits[byte & 15];
  }
  return hexadecimal;
}

}  // namespace kiban::engine
