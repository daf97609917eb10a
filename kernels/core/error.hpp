#pragma once
#include <stdexcept>
#include <string>

namespace kiban {

/// What kind of thing went wrong. The value is the exit status of the `kiban` command.
enum class ErrorCode {
  internal = 1,  ///< a fault of ours, or of the machine
  usage = 2,     ///< the request makes no sense: unknown name, value out of range
  input = 3,     ///< a file or an array is not what it should be, or a result cannot be written
  device = 4,    ///< the device is missing, or too small, or failed
};

/// The one exception of Kiban. `what()` is one sentence: what is wrong, where, and what to do.
class Error : public std::runtime_error {
 public:
  ///   error_number   errno, where the machine refused what a sound request needs (space, memory, permission to write):
  ///                  the cause may pass. 0 where it did not
  Error(ErrorCode code, const std::string& sentence, int error_number = 0)
      : std::runtime_error(sentence), code_(code), error_number_(error_number) {}
  ErrorCode code() const { return code_; }
  int error_number() const { return error_number_; }

 private:
  ErrorCode code_;
  int error_number_;
};

}  // namespace kiban
