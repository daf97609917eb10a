#pragma once
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's

namespace kiban::engine {

/// SHA-256 of bytes that come in pieces. Errors of all calls: internal (OpenSSL refuses).
class Sha256 {
 public:
  Sha256();
  void add(std::string_view bytes);
  /// 64 hexadecimal digits. To be called once, last.
  std::string hexadecimal();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

/// Of a text, as 64 hexadecimal digits. Errors: internal.
std::string sha256(std::string_view text);

}  // namespace kiban::engine
