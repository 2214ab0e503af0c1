/* scripts/bench.d/floors.c -- floors FILE FOLDER: what this machine does at best of the things that the data path is
 * made of: memory, hashes, groups, syncs, SQLite, sockets, wake-ups. FILE has events as JSON lines; what is written
 * goes to FOLDER. Each line of output: number, tab, unit, tab, what it is.
 *
 * One thread unless said otherwise; the best of ROUNDS, since a floor is what nothing gets below. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { ROUNDS = 5, MEMORY_BYTES = 256 << 20, ROWS = 8 << 20, GROUPS = 100000, GROUP_SLOTS = 1 << 18 };

static volatile uint64_t sink; /* results go here, so that nothing is optimised away */

static _Noreturn void die(const char *what) {
  fprintf(stderr, "floors: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void *must(void *memory) {
  if (memory == NULL)
    die("out of memory");
  return memory;
}

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The least time of `work`, in seconds. */
static double best_of(void (*work)(void *context), void *context) {
  double best = 1e9;
  for (int round = 0; round < ROUNDS; round++) {
    double start = now_s();
    work(context);
    double taken = now_s() - start;
    best = taken < best ? taken : best;
  }
  return best;
}

static void tell(double value, const char *unit, const char *what) {
  printf("%.6g\t%s\t%s\n", value, unit, what);
  fflush(stdout);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

struct memory {
  uint64_t *from, *to;
};

static void read_memory(void *context) {
  const uint64_t *words = ((struct memory *)context)->from;
  uint64_t sums[4] = {0};
  for (size_t i = 0; i < MEMORY_BYTES / 8; i += 4)
    for (size_t j = 0; j < 4; j++)
      sums[j] += words[i + j];
  sink = sums[0] + sums[1] + sums[2] + sums[3];
}

static void copy_memory(void *context) {
  struct memory *memory = context;
  memcpy(memory->to, memory->from, MEMORY_BYTES);
  sink = memory->to[MEMORY_BYTES / 16];
}

static void tell_memory(void) {
  struct memory memory = {must(malloc(MEMORY_BYTES)), must(malloc(MEMORY_BYTES))};
  memset(memory.from, 1, MEMORY_BYTES);
  memset(memory.to, 2, MEMORY_BYTES);
  tell(MEMORY_BYTES / best_of(read_memory, &memory) / 1e9, "GB/s", "memory read and added up");
  tell(MEMORY_BYTES / best_of(copy_memory, &memory) / 1e9, "GB/s", "memory copied (bytes copied, not moved)");
  free(memory.from);
  free(memory.to);
}

/* ---- the bytes of events ----------------------------------------------------------------------------------------- */

struct text {
  const char *data, *end;
  uint64_t lines;
};

static void find_lines(void *context) {
  struct text *text = context;
  text->lines = 0;
  for (const char *at = text->data; at < text->end; text->lines++)
    at = (const char *)memchr(at, '\n', (size_t)(text->end - at)) + 1;
}

static void hash_lines(void *context) {
  struct text *text = context;
  XXH128_hash_t hash = {0};
  for (const char *at = text->data, *stop; at < text->end; at = stop + 1) {
    stop = memchr(at, '\n', (size_t)(text->end - at));
    hash = XXH3_128bits_withSeed(at, (size_t)(stop - at), hash.low64); /* each rests on the one before */
  }
  sink = hash.low64;
}

static void tell_text(const char *path) {
  struct stat status;
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &status) != 0 || status.st_size == 0)
    die(path);
  const char *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  if (data == MAP_FAILED)
    die(path);
  struct text text = {.data = data, .end = memrchr(data, '\n', (size_t)status.st_size)};
  text.end++;
  double found = best_of(find_lines, &text), hashed = best_of(hash_lines, &text);
  tell((double)text.lines / found / 1e6, "M events/s", "line ends found in JSON lines (memchr)");
  tell((double)text.lines / hashed / 1e6, "M events/s", "line ends found, and a running XXH3-128 over the events");
  munmap((void *)data, (size_t)status.st_size);
  close(fd);
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

struct group {
  uint64_t key, count;
  int64_t total;
};

struct rows {
  uint32_t *codes;
  int64_t *amounts;
  struct group *groups;
};

static uint64_t scrambled(uint64_t key) {
  key = (key ^ key >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  return key ^ key >> 27;
}

static void add_by_code(void *context) {
  struct rows *rows = context;
  for (size_t i = 0; i < ROWS; i++) {
    struct group *group = &rows->groups[rows->codes[i]];
    group->count++;
    group->total += rows->amounts[i];
  }
}

static void add_by_hash(void *context) {
  enum { AHEAD = 16 };
  struct rows *rows = context;
  for (size_t i = 0; i < ROWS; i++) {
    uint64_t key = rows->codes[i] + 1, slot = scrambled(key) % GROUP_SLOTS;
    if (i + AHEAD < ROWS)
      __builtin_prefetch(&rows->groups[scrambled(rows->codes[i + AHEAD] + 1) % GROUP_SLOTS]);
    while (rows->groups[slot].key != key && rows->groups[slot].key != 0)
      slot = (slot + 1) % GROUP_SLOTS;
    rows->groups[slot].key = key;
    rows->groups[slot].count++;
    rows->groups[slot].total += rows->amounts[i];
  }
}

static void tell_groups(void) {
  struct rows rows = {must(malloc(ROWS * sizeof(uint32_t))), must(malloc(ROWS * sizeof(int64_t))),
                      must(calloc(GROUP_SLOTS, sizeof(struct group)))};
  for (size_t i = 0; i < ROWS; i++) {
    rows.codes[i] = (uint32_t)(scrambled(i + 1) % GROUPS);
    rows.amounts[i] = (int64_t)(i % 500000);
  }
  tell(ROWS / best_of(add_by_code, &rows) / 1e6, "M rows/s",
       "count and sum into 100,000 groups, the group's number given");
  memset(rows.groups, 0, GROUP_SLOTS * sizeof(struct group));
  tell(ROWS / best_of(add_by_hash, &rows) / 1e6, "M rows/s",
       "the same, the group found by hash, fetched 16 rows ahead");
  free(rows.codes);
  free(rows.amounts);
  free(rows.groups);
}

/* ---- syncs ------------------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void tell_sync(size_t bytes, const char *what) {
  enum { SYNCS = 200 };
  double taken[SYNCS];
  char *data = must(calloc(1, bytes));
  int fd = open("floors.append", O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (fd < 0)
    die("floors.append");
  for (int i = 0; i < SYNCS; i++) {
    double start = now_s();
    if (write(fd, data, bytes) != (ssize_t)bytes || fdatasync(fd) != 0)
      die("append");
    taken[i] = (now_s() - start) * 1e6;
  }
  qsort(taken, SYNCS, sizeof *taken, compare_doubles);
  tell(taken[SYNCS / 2], "us", what);
  close(fd);
  unlink("floors.append");
  free(data);
}

/* ---- SQLite ------------------------------------------------------------------------------------------------------ */

enum { TABLE_ROWS = 100000, COMMITS = 500 };

static void run_sql(sqlite3 *database, const char *sql) {
  if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
    die(sqlite3_errmsg(database));
}

static sqlite3_stmt *prepared(sqlite3 *database, const char *sql) {
  sqlite3_stmt *statement;
  if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
    die(sqlite3_errmsg(database));
  return statement;
}

static void step(sqlite3_stmt *statement, int wanted) {
  if (sqlite3_step(statement) != wanted)
    die(sqlite3_errmsg(sqlite3_db_handle(statement)));
  sqlite3_reset(statement);
}

static void insert_row(sqlite3_stmt *insert, int64_t i) {
  char name[16];
  int size = snprintf(name, sizeof name, "A-%06lld", (long long)i);
  sqlite3_bind_text(insert, 1, name, size, SQLITE_TRANSIENT);
  sqlite3_bind_int64(insert, 2, i);
  sqlite3_bind_int64(insert, 3, i * 7);
  sqlite3_bind_int64(insert, 4, i * 11);
  step(insert, SQLITE_DONE);
}

static void insert_rows(void *context) {
  sqlite3 *database = context;
  run_sql(database, "DELETE FROM t");
  sqlite3_stmt *insert = prepared(database, "INSERT INTO t VALUES (?, ?, ?, ?)");
  run_sql(database, "BEGIN");
  for (int64_t i = 0; i < TABLE_ROWS; i++)
    insert_row(insert, i);
  run_sql(database, "COMMIT");
  sqlite3_finalize(insert);
}

static void commit_rows(void *context) {
  sqlite3 *database = context;
  sqlite3_stmt *update = prepared(database, "UPDATE t SET n = n + 1 WHERE name = 'A-000500'");
  for (int i = 0; i < COMMITS; i++)
    step(update, SQLITE_DONE);
  sqlite3_finalize(update);
}

static void read_rows(void *context) {
  sqlite3_stmt *select = context;
  char name[16];
  for (uint64_t i = 0; i < TABLE_ROWS; i++) {
    int size = snprintf(name, sizeof name, "A-%06u", (unsigned)(scrambled(i + 1) % TABLE_ROWS));
    sqlite3_bind_text(select, 1, name, size, SQLITE_STATIC);
    step(select, SQLITE_ROW);
  }
}

static void tell_reads(sqlite3 *database) {
  sqlite3_stmt *select = prepared(database, "SELECT n, total FROM t WHERE name = ?");
  run_sql(database, "BEGIN");
  tell(best_of(read_rows, select) / TABLE_ROWS * 1e6, "us",
       "SQLite: row by text key, prepared, in an open transaction");
  run_sql(database, "COMMIT");
  tell(best_of(read_rows, select) / TABLE_ROWS * 1e6, "us", "SQLite: the same, each in a transaction of its own");
  sqlite3_finalize(select);
}

static void tell_sqlite(void) {
  sqlite3 *database;
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  if (sqlite3_open("floors.db", &database) != SQLITE_OK)
    die("floors.db");
  run_sql(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; DROP TABLE IF EXISTS t;"
                    "CREATE TABLE t (name TEXT PRIMARY KEY, n INTEGER, total INTEGER, largest INTEGER) WITHOUT ROWID");
  tell(TABLE_ROWS / best_of(insert_rows, database) / 1e6, "M rows/s",
       "SQLite: rows of 4 columns inserted in key order, one transaction");
  tell_reads(database);
  tell(best_of(commit_rows, database) / COMMITS * 1e6, "us", "SQLite: commit of one row, WAL, synchronous=NORMAL");
  run_sql(database, "PRAGMA synchronous = FULL");
  tell(best_of(commit_rows, database) / COMMITS * 1e6, "us", "SQLite: commit of one row, WAL, synchronous=FULL");
  sqlite3_close(database);
  unlink("floors.db");
  unlink("floors.db-wal");
  unlink("floors.db-shm");
}

/* ---- sockets and threads ----------------------------------------------------------------------------------------- */

enum { TRIPS = 20000, MESSAGE_BYTES = 200 };

static void pass_message(int from, int to) {
  char message[MESSAGE_BYTES] = {0};
  if (send(from, message, sizeof message, 0) != MESSAGE_BYTES || recv(to, message, sizeof message, 0) != MESSAGE_BYTES)
    die("socket");
}

static void pass_messages(void *context) {
  int *sockets = context;
  for (int i = 0; i < TRIPS; i++)
    pass_message(sockets[0], sockets[1]);
}

static void *echo(void *context) {
  int *sockets = context;
  char message[MESSAGE_BYTES];
  while (recv(sockets[1], message, sizeof message, 0) == MESSAGE_BYTES)
    if (send(sockets[1], message, sizeof message, 0) != MESSAGE_BYTES)
      break;
  return NULL;
}

static void ask_and_wait(void *context) {
  int *sockets = context;
  char message[MESSAGE_BYTES] = {0};
  for (int i = 0; i < TRIPS; i++)
    if (send(sockets[0], message, sizeof message, 0) != MESSAGE_BYTES ||
        recv(sockets[0], message, sizeof message, 0) != MESSAGE_BYTES)
      die("socket");
}

static void tell_sockets(void) {
  int sockets[2];
  pthread_t thread;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0)
    die("socketpair");
  tell(best_of(pass_messages, sockets) / TRIPS * 1e6, "us", "unix socket: 200 bytes sent and received by one thread");
  if (pthread_create(&thread, NULL, echo, sockets) != 0)
    die("thread");
  tell(best_of(ask_and_wait, sockets) / TRIPS * 1e6, "us",
       "unix socket: 200 bytes to another thread and back, both ends waked");
  shutdown(sockets[0], SHUT_RDWR);
  pthread_join(thread, NULL);
  close(sockets[0]);
  close(sockets[1]);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: floors FILE FOLDER\n");
    return 2;
  }
  tell_memory();
  tell_text(argv[1]);
  if (chdir(argv[2]) != 0)
    die(argv[2]);
  tell_groups();
  tell_sync(4096, "4 KiB appended and synced (fdatasync), median");
  tell_sync(1 << 20, "1 MiB appended and synced, median");
  tell_sqlite();
  tell_sockets();
  return 0;
}
