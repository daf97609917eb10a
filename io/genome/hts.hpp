#pragma once
#include <htslib/bgzf.h>
#include <htslib/hts.h>
#include <htslib/kstring.h>

#include <cstdlib>
#include <memory>

/// HTSlib's objects, owned. It prints nothing: what it finds wrong, its callers say.
namespace kiban::io {

template <auto Free>
struct HtsFree {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

template <class T, auto Free>
using Hts = std::unique_ptr<T, HtsFree<Free>>;

using HtsFile = Hts<htsFile, hts_close>;
using HtsIndex = Hts<hts_idx_t, hts_idx_destroy>;

/// A line of text that HTSlib fills.
struct HtsLine : kstring_t {
  HtsLine() : kstring_t{0, 0, nullptr} {}
  ~HtsLine() { std::free(s); }
  HtsLine(const HtsLine&) = delete;
  HtsLine& operator=(const HtsLine&) = delete;
};

}  // namespace kiban::io
