// One long-distance link between two network namespaces, for `wan.py`.
//
// A TUN device at each end; IP packets travel between them with a fixed one-way delay, a bit rate with a drop-tail
// queue, and independent random loss. Both ends use the kernel's own TCP, so slow start, windows and loss recovery are
// real. netem would do the same where the kernel has it. Prints "up" when both devices are there.
//
// usage: link NETNS_A DEVICE_A NETNS_B DEVICE_B DELAY_US RATE_BITS_PER_S LOSS_PPM QUEUE_BYTES   (rate 0: unlimited)
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#ifndef MTU
#define MTU 1500
#endif
enum {
  SLOTS = MTU > 1500 ? 1 << 12 : 1 << 15,  // packets on the way: 37 MB or more, more than any rate times delay here
  BATCH = 512,       // packets taken from one device before the other has its turn
  TICK_NS = 250000,  // packets that fall due within a tick go together: fewer system calls, no jitter that TCP sees
};

typedef struct {
  uint64_t due_ns;
  uint16_t length;
  uint8_t bytes[MTU];
} Packet;

typedef struct {
  int in, out;
  Packet *ring;
  uint32_t head, tail;
  uint64_t free_ns;  // when the last bit that is queued has left
} Direction;

static uint64_t delay_ns, rate, loss_ppm, queue_bytes, seed;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static uint64_t next_random(void) {  // xorshift64
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

static int open_tun(const char *netns, const char *device) {
  char path[256];
  snprintf(path, sizeof path, "/var/run/netns/%s", netns);
  int space = open(path, O_RDONLY | O_CLOEXEC);
  if (space < 0 || setns(space, CLONE_NEWNET) < 0) die(netns);
  close(space);
  int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (tun < 0) die("/dev/net/tun");
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  if (ioctl(tun, TUNSETIFF, &request) < 0) die(device);
  return tun;
}

static void take(Direction *d, uint64_t now) {
  for (int left = BATCH; left > 0; left--) {
    Packet *slot = &d->ring[d->head % SLOTS];
    ssize_t length = read(d->in, slot->bytes, MTU);
    if (length <= 0) return;
    if (loss_ppm && next_random() % 1000000 < loss_ppm) continue;
    uint64_t start = d->free_ns > now ? d->free_ns : now;
    if (rate && (start - now) * (rate / 8) / SECOND > queue_bytes) continue;  // the queue is full
    if (d->head - d->tail >= SLOTS - 1) continue;
    d->free_ns = start + (rate ? (uint64_t)length * 8 * SECOND / rate : 0);
    slot->due_ns = d->free_ns + delay_ns;
    slot->length = (uint16_t)length;
    d->head++;
  }
}

// Delivers what is due; returns when the next packet will be.
static uint64_t give(Direction *d, uint64_t now) {
  while (d->tail != d->head) {
    Packet *packet = &d->ring[d->tail % SLOTS];
    if (packet->due_ns > now) return packet->due_ns;
    if (write(d->out, packet->bytes, packet->length) < 0 && errno == EAGAIN) return now;
    d->tail++;
  }
  return now + SECOND;
}

int main(int argc, char **argv) {
  if (argc != 9) {
    fprintf(stderr, "usage: link NETNS_A DEVICE_A NETNS_B DEVICE_B DELAY_US RATE_BITS_PER_S LOSS_PPM QUEUE_BYTES\n");
    return 2;
  }
  prctl(PR_SET_TIMERSLACK, 1);
  prctl(PR_SET_PDEATHSIG, 15);       // never left behind
  setpriority(PRIO_PROCESS, 0, -10);  // on a busy machine too, a packet leaves when it is due
  int a = open_tun(argv[1], argv[2]), b = open_tun(argv[3], argv[4]);
  delay_ns = strtoull(argv[5], 0, 10) * 1000;
  rate = strtoull(argv[6], 0, 10);
  loss_ppm = strtoull(argv[7], 0, 10);
  queue_bytes = strtoull(argv[8], 0, 10);
  seed = 88172645463325252ull ^ now_ns();
  Direction ways[2] = {{.in = a, .out = b}, {.in = b, .out = a}};
  for (int i = 0; i < 2; i++)
    if (!(ways[i].ring = calloc(SLOTS, sizeof(Packet)))) die("calloc");
  puts("up");
  fflush(stdout);

  for (;;) {
    uint64_t now = now_ns(), wake = now + SECOND;
    for (int i = 0; i < 2; i++) {
      take(&ways[i], now);
      uint64_t due = give(&ways[i], now);
      if (due < wake) wake = due;
    }
    now = now_ns();
    uint64_t pause = wake > now + TICK_NS ? wake - now : TICK_NS;
    struct timespec timeout = {.tv_sec = (time_t)(pause / SECOND), .tv_nsec = (long)(pause % SECOND)};
    if (pause == TICK_NS) {
      nanosleep(&timeout, 0);
    } else {
      struct pollfd either[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
      if (ppoll(either, 2, &timeout, 0) < 0 && errno != EINTR) die("ppoll");
    }
  }
}
