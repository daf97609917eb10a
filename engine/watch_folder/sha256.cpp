#include "engine/watch_folder/sha256.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>

#include "kernels/core/error.hpp"

namespace kiban::engine {

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (!state_->context || EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) != 1)
    throw Error(ErrorCode::internal, "OpenSSL gives no SHA-256; check its configuration");
}

Sha256::~Sha256() = default;

void Sha256::add(const void* bytes, std::size_t count) { EVP_DigestUpdate(state_->context.get(), bytes, count); }

void Sha256::add_counted(std::string_view bytes) {
  std::array<unsigned char, 8> count{};
  for (std::size_t i = 0; i < count.size(); ++i)
    count[i] = static_cast<unsigned char>(std::uint64_t{bytes.size()} >> 8 * i);
  add(count.data(), count.size());
  add(bytes);
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr);
  std::string text;
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 sum;
  sum.add(bytes);
  return sum.hex();
}

}  // namespace kiban::engine
