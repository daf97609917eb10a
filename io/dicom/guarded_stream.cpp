#include "io/dicom/guarded_stream.hpp"

#include <cstddef>

namespace kiban::io {
namespace {

/// Of eight megabytes that a thread has; what parsing built is taken down with less. About a thousand levels.
constexpr std::ptrdiff_t kMostStack = 1 << 20;

const char* stack_pointer() { return static_cast<const char*>(__builtin_frame_address(0)); }

}  // namespace

GuardedProducer::GuardedProducer(const OFFilename& file, offile_off_t most_bytes)
    : file_(file, 0), bytes_left_(most_bytes), stack_begin_(stack_pointer()) {}

offile_off_t GuardedProducer::read(void* buffer, offile_off_t count) {
  if (stack_begin_ - stack_pointer() > kMostStack || count > bytes_left_) gone_too_far_ = true;
  if (gone_too_far_) return 0;
  const offile_off_t got = file_.read(buffer, count);
  bytes_left_ -= got;
  return got;
}

GuardedStream::GuardedStream(const std::filesystem::path& file, offile_off_t most_bytes)
    : DcmInputStream(&producer_), name_(file.c_str()), producer_(name_, most_bytes) {}

DcmInputStreamFactory* GuardedStream::newFactory() const { return new DcmInputFileStreamFactory(name_, tell()); }

OFCondition GuardedStream::installCompressionFilter(E_StreamCompression) {
  deflated_ = true;
  return EC_UnsupportedEncoding;
}

}  // namespace kiban::io
