// The whole of kiban, with one operation whose result anybody can compute from its parameters: the SHA-256 of
// "<seed>:0", of "<seed>:1" and so on, cut at `bytes`. With a source, the seed is "<seed>/<SHA-256 of the source>".
#include <openssl/evp.h>

#include <array>
#include <chrono>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "bindings/cli/command_line.hpp"
#include "engine/operation.hpp"
#include "io/output_file.hpp"

namespace {

using namespace kiban;
using namespace kiban::engine;

std::string sha256(const std::string& text) {
  std::string digest(32, '\0');
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha256(), nullptr);
  return digest;
}

std::string hexadecimal(const std::string& bytes) {
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

class Stretching : public Work {
 public:
  explicit Stretching(const Request& request) : request_(request) {
    if (!request.uses("source")) return;
    std::ifstream file(request.path("source"), std::ios::binary);
    if (!file) throw Error(ErrorCode::input, "source: is not there; name a file that is");
    source_ = std::string(std::istreambuf_iterator<char>(file), {});
  }

  Plan plan(Device) const override {
    return {.updates = 1, .host_bytes = 2 * bytes(), .prefetch_bytes = 0, .batch_key = "fault.stretch"};
  }

  void run(Stream&, Progress& progress) override {
    if (request_.uses("result")) file_.emplace(request_.path("result"));
    progress.enter("compute");
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(request_.parameters.integer("busy-ms"));
    std::string seed = std::to_string(request_.parameters.integer("seed"));
    if (source_) seed.append("/").append(hexadecimal(sha256(*source_)));
    for (int block = 0; content_.size() < bytes(); ++block) content_ += sha256(seed + ":" + std::to_string(block));
    content_.resize(bytes());
    while (std::chrono::steady_clock::now() < end) {
      progress.check();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  void store(Progress& progress) override {
    if (!file_) return;
    progress.enter("write");
    std::ofstream stream(file_->temporary_path(), std::ios::binary);
    stream.write(content_.data(), static_cast<std::streamsize>(content_.size()));
    stream.close();
    if (!stream) throw io::write_error(file_->path(), io::errno_of_growth(file_->temporary_path()));
    file_->commit();
  }

 private:
  std::size_t bytes() const { return static_cast<std::size_t>(request_.parameters.integer("bytes")); }

  Request request_;
  std::optional<std::string> source_;
  std::string content_;
  std::optional<io::OutputFile> file_;
};

Operation stretch() {
  Operation operation;
  operation.name = "fault.stretch";
  operation.summary = "Makes many bytes of a number";
  operation.parameters = {Parameter::integer("seed", "", "What the bytes follow from").must_be_given(),
                          Parameter::integer("bytes", "byte", "How many").by_default(4096).at_least(0).at_most(1 << 26),
                          Parameter::integer("busy-ms", "ms", "How long it takes at least").by_default(2).at_least(0)};
  operation.ports = {
      {"source", PortDirection::in, PortKind::preview, false, "Another thing that the bytes follow from"},
      {"result", PortDirection::out, PortKind::preview, false, "The bytes"}};
  operation.load = [](const Request& request) { return std::make_unique<Stretching>(request); };
  return operation;
}

}  // namespace

int main(int argc, char** argv) { return cli::command_line(Registry({stretch()}), argc, argv); }
