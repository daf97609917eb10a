#!/bin/sh
# Runs programs of a build on an emulated processor with AVX-512, where there is none: bochs boots Debian's kernel.
#
#   tests/support/avx512_in_bochs.sh BUILD 'kernels.ct.backproject_test --gtest_filter=*cpu' ...
#
# Each argument is a command from BUILD/bin; its output and exit code are printed. A minute to boot, then a hundredth of
# the machine's speed or less, which is for the numbers and never for timings. Needs root for nothing, and
#
#   apt install bochs bochs-term bochsbios vgabios busybox-static cpio grub-pc-bin grub-common xorriso mtools
#
# bochs 2.7 takes gathers whose index lies in registers 16 to 31 for illegal instructions. So BUILD is one of its own:
#
#   cmake -S . -B BUILD -G Ninja -DKIBAN_CUDA=OFF -DCMAKE_BUILD_TYPE=Release \
#     -DCMAKE_CXX_FLAGS="$(for i in $(seq 16 31); do printf -- '-ffixed-xmm%s ' $i; done)"
set -eu
build=$(realpath "$1")
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/ *Depends: //p' | head -n 1)
apt-get download "$kernel" >/dev/null
dpkg-deb -x "$kernel"_*.deb kernel
mkdir -p root/bin root/lib root/proc root/sys root/dev root/tmp iso/boot/grub
cp kernel/boot/vmlinuz-* iso/boot/vmlinuz
cp /bin/busybox root/bin/
for command in "$@"; do
  program=$build/bin/${command%% *}
  cp "$program" root/bin/
  ldd "$program" | grep -oE '/[^ ]+' | while read -r library; do
    case $library in "$build"/*) to=root/lib ;; *) to=root$(dirname "$library") ;; esac
    mkdir -p "$to" && cp -nL "$library" "$to/"
  done
  echo "$command" >>root/commands
done
cat >root/init <<'INIT'
#!/bin/busybox sh
busybox=/bin/busybox
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
$busybox mount -t devtmpfs dev /dev
$busybox mount -t tmpfs tmp /tmp
$busybox grep -o -m 1 'avx512[a-z]*' /proc/cpuinfo
export PATH=/bin LD_LIBRARY_PATH=/lib HOME=/tmp GTEST_COLOR=no
cd /tmp
while read -r command; do
  echo "+ $command"
  $busybox sh -c "$command" </dev/null
  echo "= $?"
done </commands
$busybox dmesg | $busybox grep trap
$busybox sleep 2  # until the serial line has sent it all
$busybox poweroff -f
INIT
chmod +x root/init
(cd root && find . | cpio -o -H newc --quiet) >iso/boot/initrd
# The kernel turns XSAVE and with it AVX off when sizes that bochs states for XSAVEC and XSAVES do not add up.
cat >iso/boot/grub/grub.cfg <<'GRUB'
set timeout=0
menuentry kiban {
  linux /boot/vmlinuz console=ttyS0 quiet mitigations=off nokaslr clearcpuid=xsaves,xsavec tsc=reliable
  initrd /boot/initrd
}
GRUB
grub-mkrescue -o kiban.iso iso -d /usr/lib/grub/i386-pc >/dev/null 2>&1
cat >bochsrc <<'BOCHS'
config_interface: textconfig
display_library: rfb, options="timeout=0"
memory: guest=1024, host=1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=kiban.iso, status=inserted
boot: cdrom
cpu: model=corei7_skylake_x, ips=50000000
com1: enabled=1, mode=file, dev=serial
log: log
BOCHS
echo continue >go  # Debian's bochs starts in its debugger
touch serial
tail -f serial &
trap 'kill $!; rm -rf "$work"' EXIT
setsid bochs -q -f bochsrc -rc go </dev/null >screen 2>&1 || true  # it never ends well
sleep 1
grep -q avx512f serial && [ "$(grep -c '^= 0' serial)" = $# ]
