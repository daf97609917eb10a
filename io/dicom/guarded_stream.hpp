#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcerror.h>
#include <dcmtk/dcmdata/dcistrmf.h>

#include <filesystem>

namespace kiban::io {

/// The bytes of a file, for DCMTK to parse, until it goes too far: by itself it makes objects of every few bytes of a
/// file of any size, and calls itself for every level of nesting until the stack ends (10,000 levels, 200 kB,
/// in 3.6.7).
class GuardedProducer : public DcmProducer {
 public:
  /// The stack is counted from here on.
  ///   most_bytes   that are read; what is skipped does not count
  GuardedProducer(const OFFilename& file, offile_off_t most_bytes);

  OFBool good() const override { return status().good(); }
  OFCondition status() const override { return gone_too_far_ ? OFCondition(EC_InvalidStream) : file_.status(); }
  OFBool eos() override { return gone_too_far_ || file_.eos(); }
  offile_off_t avail() override { return gone_too_far_ ? 0 : file_.avail(); }
  offile_off_t read(void* buffer, offile_off_t count) override;
  offile_off_t skip(offile_off_t count) override { return gone_too_far_ ? 0 : file_.skip(count); }
  void putback(offile_off_t count) override { file_.putback(count); }

  bool gone_too_far() const { return gone_too_far_; }

 private:
  DcmFileProducer file_;
  offile_off_t bytes_left_;
  const char* stack_begin_;
  bool gone_too_far_ = false;
};

/// The stream over it. Long values are skipped, and found again by whoever asks for them.
class GuardedStream : public DcmInputStream {
 public:
  GuardedStream(const std::filesystem::path& file, offile_off_t most_bytes);
  DcmInputStreamFactory* newFactory() const override;
  /// Refused: nobody knows how large it gets.
  OFCondition installCompressionFilter(E_StreamCompression filter) override;
  bool gone_too_far() const { return producer_.gone_too_far(); }
  bool deflated() const { return deflated_; }

 private:
  OFFilename name_;
  GuardedProducer producer_;
  bool deflated_ = false;
};

}  // namespace kiban::io
