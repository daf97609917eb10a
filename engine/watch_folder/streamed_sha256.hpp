#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace kiban::engine {

/// SHA-256 of bytes that come in pieces.
class StreamedSha256 {
 public:
  StreamedSha256();
  ~StreamedSha256();
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

}  // namespace kiban::engine
