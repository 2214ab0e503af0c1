// scripts/bench.d/parse_loop.cpp -- parse_loop FILE NAME...: the bare loop beside F3. simdjson On-Demand over the events of
// FILE, on one core: the members NAME... (in the order in which they stand) are fetched, nothing is converted, stored or
// synced. Prints the number of events and the bytes of the members fetched, so that no fetch can be left out.
#include <fcntl.h>
#include <simdjson.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>
#include <vector>

using namespace simdjson;

// The file mapped, with zero bytes behind it as simdjson wants them.
static const char *map_padded(const char *path, size_t *size) {
  struct stat status;
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &status) != 0)
    return nullptr;
  *size = static_cast<size_t>(status.st_size);
  void *room = mmap(nullptr, *size + 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED || mmap(room, *size, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_POPULATE, fd, 0) == MAP_FAILED)
    return nullptr;
  return static_cast<const char *>(room);
}

int main(int argc, char **argv) {
  size_t size, events = 0, bytes = 0;
  const char *data = argc > 2 ? map_padded(argv[1], &size) : nullptr;
  if (data == nullptr) {
    std::fprintf(stderr, "usage: parse_loop FILE NAME...\n");
    return 2;
  }
  const std::vector<std::string_view> names(argv + 2, argv + argc);
  ondemand::parser parser;
  ondemand::document_stream stream = parser.iterate_many(data, size, 1 << 20);
  for (auto &&item : stream) {
    ondemand::object event = item.get_object();
    for (std::string_view name : names)
      bytes += std::string_view(event.find_field(name).raw_json_token()).size();
    events++;
  }
  std::printf("%zu events, %zu bytes\n", events, bytes);
  return 0;
}
