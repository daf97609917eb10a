#include "engine/watch_folder/streamed_sha256.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>

#include "kernels/core/error.hpp"

namespace kiban::engine {

struct StreamedSha256::State {
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

StreamedSha256::StreamedSha256() : state_(std::make_unique<State>()) {
  if (!state_->context || EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) != 1)
    throw Error(ErrorCode::internal, "OpenSSL gives no SHA-256; check its configuration");
}

StreamedSha256::~StreamedSha256() = default;

void StreamedSha256::add(const void* bytes, std::size_t count) {
  EVP_DigestUpdate(state_->context.get(), bytes, count);
}

void StreamedSha256::add_counted(std::string_view bytes) {
  std::array<unsigned char, 8> count{};
  for (std::size_t i = 0; i < count.size(); ++i)
    count[i] = static_cast<unsigned char>(std::uint64_t{bytes.size()} >> 8 * i);
  add(count.data(), count.size());
  add(bytes);
}

std::string StreamedSha256::hex() {
  std::array<unsigned char, 32> digest{};
  EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr);
  std::string text;
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace kiban::engine
