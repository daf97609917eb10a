#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace kiban::engine {

/// SHA-256 of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void add(const void* bytes, std::size_t count);
  void add(std::string_view bytes) { add(bytes.data(), bytes.size()); }
  /// The length first, so that two texts in a row are not taken for two others.
  void add_counted(std::string_view bytes);
  /// 64 hexadecimal digits. To be called once, last.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);

}  // namespace kiban::engine
