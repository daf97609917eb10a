#include <fmt/format.h>

#include "bindings/cli/commands.hpp"

namespace kiban::cli {

using engine::Parameter;

Parameter queue_option() {
  return Parameter::text("queue", "The queue: sqlite:///absolute/path")
      .or_else("KIBAN_QUEUE, or else ~/.local/share/kiban/queue.sqlite");
}

Parameter json_option(const std::string& what) {
  return Parameter::flag("json", fmt::format("Print JSON on standard output: {}, or the error", what));
}

std::string queue_url(const engine::Values& options) { return options.has("queue") ? options.text("queue") : ""; }

std::unique_ptr<engine::Queue> queue_of(const engine::Values& options) {
  return engine::open_queue(queue_url(options));
}

}  // namespace kiban::cli
